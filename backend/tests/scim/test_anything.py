"""Whatever a client sends as a filter, a path or a body is used or refused, and never crashes anything."""

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from santaserver.scim.errors import ScimError
from santaserver.scim.filters import parse
from santaserver.scim.listing import search_of
from santaserver.scim.lookup import hint_of
from santaserver.scim.matching import Budget, matches
from santaserver.scim.members import Members
from santaserver.scim.operations import URN, operations_of
from santaserver.scim.patch import apply
from santaserver.scim.paths import parse_path
from santaserver.scim.projection import projected, projection_of
from santaserver.scim.schemas import ENTERPRISE_URN, GROUP, MEMBERS, USER, USER_URN
from santaserver.scim.values import check_required, resource_of
from tests.scim.test_filters import LENA

WORDS = [
    *(
        "userName",
        "emails",
        "name.givenName",
        "active",
        "members",
        "value",
        "type",
        "primary",
        "meta.created",
    ),
    *("eq", "ne", "co", "gt", "pr", "and", "or", "not", "(", ")", "[", "]", "].value", '"x"', '"', "true"),
    *(
        "meta.created",
        "null",
        "7",
        "\\",
        ".",
        ":",
        USER_URN,
        ENTERPRISE_URN,
        f"{ENTERPRISE_URN}:manager",
        " ",
        "\0",
        "é",
    ),
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "Replace", "remove", "x"])},
        optional={"path": TEXTS | VALUES, "value": VALUES},
    ),
    max_size=4,
)
quickly = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@quickly
@given(TEXTS)
def test_any_filter(text: str) -> None:
    with suppress(ScimError):
        found = parse(USER, text)
        hint_of(found, "userName")
        assert isinstance(matches(found, LENA, Budget()), bool)


@quickly
@given(TEXTS)
def test_any_path(text: str) -> None:
    with suppress(ScimError):
        parse_path(USER, text)
    with suppress(ScimError):
        parse_path(GROUP, text)


@quickly
@given(st.dictionaries(st.sampled_from(["filter", "startIndex", "count", "attributes"]), VALUES))
def test_any_search(told: dict[str, Any]) -> None:
    with suppress(ScimError):
        search = search_of(USER, told)
        assert search.start >= 1
        assert 0 <= search.count <= 200


@quickly
@given(st.dictionaries(st.sampled_from(WORDS), VALUES), VALUES)
def test_any_resource(fields: dict[str, Any], name: Any) -> None:  # noqa: ANN401
    with suppress(ScimError):
        resource = resource_of(USER, {"schemas": [USER_URN], **fields, "userName": name})
        assert isinstance(resource["userName"], str)
        assert isinstance(resource.get("active", False), bool)
        assert resource_of(USER, {"schemas": [USER_URN], **resource}) == resource


@quickly
@given(OPERATIONS)
def test_any_patch(operations: list[dict[str, Any]]) -> None:
    body = {"schemas": [URN], "Operations": operations}
    resource = resource_of(USER, {"schemas": [USER_URN], **LENA})
    with suppress(ScimError):
        for operation in operations_of(USER, body):
            apply(resource, operation, Budget())
        check_required(USER, resource)
        assert resource_of(USER, {"schemas": [USER_URN], **resource}) == resource
    members = Members(["a", "b"], Budget())
    with suppress(ScimError):
        for operation in operations_of(GROUP, body):
            if operation.path.attribute is MEMBERS:
                members.apply(operation)
    assert all(isinstance(one, str) for one in members.ids)


@quickly
@given(VALUES, VALUES)
def test_any_projection(attributes: Any, excluded: Any) -> None:  # noqa: ANN401
    with suppress(ScimError):
        shown = projected(USER, LENA, projection_of(USER, attributes, excluded))
        assert shown["id"] == LENA["id"]
