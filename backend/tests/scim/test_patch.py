"""PATCH: what operations make of a resource, and which are none."""

from typing import Any

import pytest

from santaserver.scim import errors
from santaserver.scim.errors import ScimError
from santaserver.scim.matching import Budget
from santaserver.scim.members import Members
from santaserver.scim.operations import URN, operations_of
from santaserver.scim.patch import apply
from santaserver.scim.schemas import ENTERPRISE_URN, GROUP, USER, USER_URN

WORK = {"value": "w@x", "type": "work", "primary": True}
HOME = {"value": "h@x", "type": "home"}


def patched(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    """Return a resource after some operations."""
    budget = Budget()
    for operation in operations_of(USER, {"schemas": [URN], "Operations": list(operations)}):
        apply(resource, operation, budget)
    return resource


def lena() -> dict[str, Any]:
    return {"userName": "lena", "name": {"givenName": "Lena"}, "emails": [dict(WORK), dict(HOME)]}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "add", "path": "title", "value": "Boss"}, {"title": "Boss"}),
        ({"op": "REPLACE", "path": "TITLE", "value": "Boss"}, {"title": "Boss"}),
        ({"op": "replace", "path": f"{USER_URN}:title", "value": 7}, {"title": "7"}),
        ({"op": "replace", "path": "userName", "value": "Omar"}, {"userName": "Omar"}),
        ({"op": "replace", "path": "externalId", "value": "e1"}, {"externalId": "e1"}),
        ({"op": "replace", "path": "title", "value": None}, {}),
        ({"op": "replace", "path": "emails", "value": []}, {"emails": None}),
        ({"op": "replace", "path": "emails", "value": ""}, {"emails": None}),
        ({"op": "replace", "path": "emails", "value": {"value": "n@x"}}, {"emails": [{"value": "n@x"}]}),
        ({"op": "replace", "path": "emails", "value": "n@x"}, {"emails": [{"value": "n@x"}]}),
        ({"op": "add", "path": "emails", "value": [dict(HOME)]}, {}),
        (
            {"op": "add", "path": "emails", "value": [{"value": "n@x", "primary": "true"}]},
            {"emails": [{**WORK, "primary": False}, HOME, {"value": "n@x", "primary": True}]},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "home"].primary', "value": True},
            {"emails": [{**WORK, "primary": False}, {**HOME, "primary": True}]},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "home"]', "value": {"value": "n@x"}},
            {"emails": [WORK, {"value": "n@x"}]},
        ),
        (
            {"op": "add", "path": 'emails[type eq "home"]', "value": {"value": "n@x"}},
            {"emails": [WORK, {"value": "n@x", "type": "home"}]},
        ),
        (
            {"op": "add", "path": 'emails[type eq "other" and primary eq "False"].value', "value": "o@x"},
            {"emails": [WORK, HOME, {"type": "other", "primary": False, "value": "o@x"}]},
        ),
        (
            {"op": "replace", "path": "emails.type", "value": "other"},
            {"emails": [{**WORK, "type": "other"}, {**HOME, "type": "other"}]},
        ),
        ({"op": "remove", "path": "emails"}, {"emails": None}),
        ({"op": "remove", "path": "emails", "value": [{"value": "w@x"}]}, {"emails": [HOME]}),
        ({"op": "remove", "path": "emails", "value": []}, {}),
        ({"op": "remove", "path": 'emails[value sw "W"]'}, {"emails": [HOME]}),
        ({"op": "remove", "path": 'emails[type eq "other"]'}, {}),
        ({"op": "remove", "path": 'emails[type eq "home"].type'}, {"emails": [WORK, {"value": "h@x"}]}),
        ({"op": "remove", "path": "name.givenName"}, {"name": None}),
        ({"op": "remove", "path": "title"}, {}),
        (
            {"op": "add", "path": "name", "value": {"familyName": "K"}},
            {"name": {"givenName": "Lena", "familyName": "K"}},
        ),
        ({"op": "replace", "path": "name.givenName", "value": ""}, {"name": None}),
        ({"op": "replace", "value": {"NAME.givenname": "Ines"}}, {"name": {"givenName": "Ines"}}),
        ({"op": "add", "value": {"id": "x", "meta": {}, "groups": [], "color": 1, "schemas": []}}, {}),
        (
            {"op": "add", "value": {ENTERPRISE_URN: {"department": "IT"}}},
            {ENTERPRISE_URN: {"department": "IT"}},
        ),
        (
            {"op": "add", "path": ENTERPRISE_URN, "value": {"division": "D"}},
            {ENTERPRISE_URN: {"division": "D"}},
        ),
        ({"op": "add", "path": "urn:example:other:2.0:User:color", "value": "red"}, {}),
        ({"op": "add", "value": {"urn:example:other:2.0:User": {"color": "red"}}}, {}),
        ({"op": "replace", "path": "password", "value": "secret"}, {}),
        ({"OP": "Add", "Path": "title", "Value": "Boss"}, {"title": "Boss"}),
    ],
)
def test_an_operation_changes_what_it_names(operation: dict[str, Any], changed: dict[str, Any]) -> None:
    wanted = {name: value for name, value in {**lena(), **changed}.items() if value is not None}
    assert patched(lena(), operation) == wanted


def test_an_extension_goes_with_its_last_attribute() -> None:
    resource = {**lena(), ENTERPRISE_URN: {"department": "IT", "division": "D"}}
    assert patched(resource, {"op": "remove", "path": f"{ENTERPRISE_URN}:department"})[ENTERPRISE_URN] == {
        "division": "D"
    }
    assert patched(resource, {"op": "Remove", "path": f"{ENTERPRISE_URN}:division"}) == lena()
    resource = {**lena(), ENTERPRISE_URN: {"department": "IT", "manager": {"value": "m"}}}
    assert patched(resource, {"op": "remove", "path": ENTERPRISE_URN}) == lena()


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "move", "path": "title"}, errors.INVALID_SYNTAX),
        ({"op": 7, "path": "title"}, errors.INVALID_SYNTAX),
        ({"path": "title", "value": "x"}, errors.INVALID_SYNTAX),
        ({"op": "add", "path": "title"}, errors.INVALID_SYNTAX),
        ({"op": "add", "value": "x"}, errors.INVALID_SYNTAX),
        ({"op": "add", "value": ["x"]}, errors.INVALID_SYNTAX),
        ({"op": "remove"}, errors.NO_TARGET),
        ({"op": "remove", "path": ""}, errors.NO_TARGET),
        ({"op": "add", "path": 7, "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": "color", "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": "name.color", "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": "emails[", "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": 'emails[type eq "work"]value', "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": 'emails[type eq "work"].color', "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": 'name[givenName eq "x"]', "value": "x"}, errors.INVALID_PATH),
        ({"op": "add", "path": "emails[type]", "value": "x"}, errors.INVALID_FILTER),
        ({"op": "add", "value": {"emails[type].value": "x"}}, errors.INVALID_FILTER),
        ({"op": "replace", "path": 'emails[type eq "other"].value', "value": "x"}, errors.NO_TARGET),
        ({"op": "add", "path": 'emails[type co "other"].value', "value": "x"}, errors.NO_TARGET),
        ({"op": "replace", "path": "id", "value": "x"}, errors.MUTABILITY),
        ({"op": "replace", "path": "groups", "value": []}, errors.MUTABILITY),
        ({"op": "replace", "path": "meta.created", "value": "x"}, errors.MUTABILITY),
        ({"op": "remove", "path": "schemas"}, errors.MUTABILITY),
        ({"op": "replace", "path": "active", "value": "perhaps"}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "active", "value": 1}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "title", "value": {"x": 1}}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "title", "value": True}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "title", "value": "a\0b"}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "title", "value": "a\u202eb"}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "title", "value": "x" * 5000}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "name", "value": "Lena"}, errors.INVALID_VALUE),
        (
            {"op": "replace", "path": "emails", "value": [WORK, {**HOME, "primary": True}]},
            errors.INVALID_VALUE,
        ),
        (
            {"op": "replace", "path": "emails", "value": [{"value": str(n)} for n in range(200)]},
            errors.INVALID_VALUE,
        ),
    ],
)
def test_what_is_no_operation_is_refused(operation: dict[str, Any], kind: str) -> None:
    with pytest.raises(ScimError) as caught:
        patched(lena(), operation)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"schemas": [URN]},
        {"schemas": [URN], "Operations": []},
        {"schemas": [URN], "Operations": {}},
        {"schemas": [URN], "Operations": ["x"]},
        {"schemas": ["urn:x"], "Operations": [{"op": "remove", "path": "title"}]},
        {"Operations": [{"op": "remove", "path": "title"}]},
        {"schemas": [URN], "Operations": [{"op": "remove", "path": "title"}] * 20_001},
    ],
)
def test_what_is_no_patch_is_refused(body: Any) -> None:  # noqa: ANN401
    with pytest.raises(ScimError) as caught:
        operations_of(USER, body)
    assert caught.value.kind == errors.INVALID_SYNTAX


def membership(known: list[str], *operations: dict[str, Any], steps: int = 1000) -> list[str]:
    """Return the members of a group after some operations."""
    members = Members(known, Budget(steps))
    for operation in operations_of(GROUP, {"schemas": [URN], "Operations": list(operations)}):
        members.apply(operation)
    return members.ids


def test_members_come_and_go_in_the_order_of_the_operations() -> None:
    assert membership(
        ["a", "b"],
        {"op": "add", "path": "members", "value": [{"value": "C"}, {"value": "a"}]},
        {"op": "remove", "path": 'members[value eq "B"]'},
        {"op": "add", "value": {"members": {"value": "d"}}},
        {"op": "remove", "path": 'members[value sw "a" or value eq "z"]'},
    ) == ["c", "d"]
    assert membership(["a"], {"op": "replace", "path": "members", "value": None}) == []
    assert membership(["a"], {"op": "replace", "path": "members", "value": ["b", {"Value": "c"}]}) == [
        "b",
        "c",
    ]
    assert membership(["a"], {"op": "add", "path": 'members[value eq "a"]', "value": {"value": "a"}}) == ["a"]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "add", "path": "members", "value": [{"display": "x"}]}, errors.INVALID_VALUE),
        ({"op": "add", "path": "members", "value": 7}, errors.INVALID_VALUE),
        ({"op": "add", "path": "members", "value": [{"value": "x", "type": "Group"}]}, errors.INVALID_VALUE),
        ({"op": "replace", "path": "members.value", "value": "x"}, errors.INVALID_VALUE),
        ({"op": "replace", "path": 'members[value eq "a"]', "value": "x"}, errors.NO_TARGET),
        ({"op": "add", "path": 'members[value eq "z"]', "value": "x"}, errors.NO_TARGET),
    ],
)
def test_what_is_no_change_of_members_is_refused(operation: dict[str, Any], kind: str) -> None:
    with pytest.raises(ScimError) as caught:
        membership(["a"], operation)
    assert caught.value.kind == kind


def test_many_filters_over_many_members_cost_too_much() -> None:
    known = [str(number) for number in range(1000)]
    operations = [{"op": "remove", "path": 'members[value co "x"]'}] * 10
    with pytest.raises(ScimError) as caught:
        membership(known, *operations, steps=5000)
    assert caught.value.kind == errors.TOO_MANY
