"""The requests that Microsoft Entra ID sends, with their bodies as it writes them."""

import uuid
from typing import Any

import httpx
import pytest

from tests.scim.directory import ENTERPRISE, GROUP, PATCH, USER, Body, Directory, is_error, path_of
from tests.support.postgres import value

ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
OBJECT_ID = "3f7b0c3e-6f0c-4a5e-9a51-0d6d3c2f8a11"
MANAGER = f"{ENTERPRISE}:manager"


def entra_user(name: str = "Test_User_ab6490ee@testuser.com") -> Body:
    """Return the body with which Entra creates a user."""
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": OBJECT_ID,
        "userName": name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": [],
    }


@pytest.fixture
def user(directory: Directory) -> Body:
    """Return a user that Entra created."""
    response = directory.send("POST", "/Users", entra_user())
    assert response.status_code == httpx.codes.CREATED, response.text
    made: Body = response.json()
    return made


def test_the_connection_test_asks_for_somebody_who_is_not_there(directory: Directory) -> None:
    answer = directory.get("/Users", filter=f'userName eq "{uuid.uuid4()}"')
    assert (answer["totalResults"], answer["Resources"], answer["startIndex"]) == (0, [], 1)


def test_a_user_is_created_as_entra_does(directory: Directory, user: Body) -> None:
    assert user["userName"] == "Test_User_ab6490ee@testuser.com"
    assert user["externalId"] == OBJECT_ID
    assert user["active"] is True
    assert user["emails"] == [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}]
    assert user["schemas"] == [USER]
    assert "roles" not in user
    assert directory.get(path_of(user)) == user


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "test_user_AB6490EE@testuser.com"',
        f'externalId eq "{OBJECT_ID}"',
        f"externalId eq {OBJECT_ID}",
        'emails[type eq "work"].value eq "test_user_fd0ea19b@testuser.com"',
        'emails[type eq "work" and value eq "Test_User_fd0ea19b@testuser.com"]',
        'userName eq "Test_User_ab6490ee@testuser.com" and active eq true',
    ],
)
def test_a_user_is_found_by_what_entra_matches_with(directory: Directory, user: Body, text: str) -> None:
    directory.user("someone else")
    assert directory.found("/Users", text) == [user]


@pytest.mark.parametrize("spelling", ["False", "false", False])
@pytest.mark.parametrize("verb", ["Replace", "replace"])
def test_a_user_is_deactivated_by_path(directory: Directory, user: Body, verb: str, spelling: Any) -> None:  # noqa: ANN401
    response = directory.patch(path_of(user), {"op": verb, "path": "active", "value": spelling})
    assert response.status_code == httpx.codes.OK, response.text
    assert response.json()["active"] is False
    again = directory.patch(path_of(user), {"op": verb, "path": "active", "value": "True"})
    assert again.json()["active"] is True


def test_a_value_that_comes_in_a_list_is_the_value(directory: Directory, user: Body) -> None:
    told = [{"$ref": None, "value": "Dora"}]
    response = directory.patch(path_of(user), {"op": "Replace", "path": "displayName", "value": told})
    assert response.json()["displayName"] == "Dora"
    told = [{"$ref": None, "value": "False"}]
    response = directory.patch(path_of(user), {"op": "Replace", "path": "active", "value": told})
    assert response.json()["active"] is False


def test_an_address_is_replaced_by_its_type(directory: Directory, user: Body) -> None:
    response = directory.patch(
        path_of(user),
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
    )
    changed = response.json()
    assert changed["emails"] == [{"primary": True, "type": "work", "value": "updatedEmail@microsoft.com"}]
    assert changed["name"]["familyName"] == "updatedFamilyName"
    assert changed["name"]["givenName"] == "givenName"


def test_a_number_is_added_that_there_is_not_yet(directory: Directory, user: Body) -> None:
    path = 'phoneNumbers[type eq "mobile"].value'
    response = directory.patch(path_of(user), {"op": "Add", "path": path, "value": "+1 555 0100"})
    assert response.json()["phoneNumbers"] == [{"type": "mobile", "value": "+1 555 0100"}]
    response = directory.patch(path_of(user), {"op": "Add", "path": path, "value": "+1 555 0199"})
    assert response.json()["phoneNumbers"] == [{"type": "mobile", "value": "+1 555 0199"}]


def test_parts_of_an_address_are_added_one_by_one(directory: Directory, user: Body) -> None:
    names = {"streetAddress": "One Way", "locality": "Redmond", "country": "US"}
    told = [
        {"op": "Add", "path": f'addresses[type eq "work"].{name}', "value": text}
        for name, text in names.items()
    ]
    assert directory.patch(path_of(user), *told).json()["addresses"] == [{"type": "work", **names}]


def test_roles_are_found_by_a_boolean_in_quotes(directory: Directory, user: Body) -> None:
    path = 'roles[primary eq "True"].value'
    response = directory.patch(path_of(user), {"op": "Add", "path": path, "value": "Admin"})
    assert response.json()["roles"] == [{"primary": True, "value": "Admin"}]
    response = directory.patch(path_of(user), {"op": "Replace", "path": path, "value": "Reader"})
    assert response.json()["roles"] == [{"primary": True, "value": "Reader"}]


@pytest.mark.parametrize("told", ["26118915", {"value": "26118915"}, [{"$ref": "x", "value": "26118915"}]])
def test_a_manager_may_be_a_bare_id(directory: Directory, user: Body, told: Any) -> None:  # noqa: ANN401
    response = directory.patch(path_of(user), {"op": "Add", "path": MANAGER, "value": told})
    changed = response.json()
    assert changed[ENTERPRISE]["manager"]["value"] == "26118915"
    assert changed["schemas"] == [USER, ENTERPRISE]
    removed = directory.patch(path_of(user), {"op": "Remove", "path": MANAGER}).json()
    assert ENTERPRISE not in removed
    assert removed["schemas"] == [USER]


def test_everything_comes_without_a_path(directory: Directory, user: Body) -> None:
    told = {
        "displayName": "Lena K",
        "name.givenName": "Lena",
        'emails[type eq "work"].value': "lena@example.org",
        f"{ENTERPRISE}:department": "Sales",
        f"{ENTERPRISE}:manager": "7",
        "active": "True",
        "whatever": "unknown",
    }
    changed = directory.patch(path_of(user), {"op": "replace", "value": told}).json()
    assert changed["displayName"] == "Lena K"
    assert changed["name"]["givenName"] == "Lena"
    assert changed["emails"][0]["value"] == "lena@example.org"
    assert changed[ENTERPRISE] == {"department": "Sales", "manager": {"value": "7"}}
    assert "whatever" not in changed


def test_several_attributes_are_removed(directory: Directory, user: Body) -> None:
    changed = directory.patch(
        path_of(user),
        {"op": "Remove", "path": 'emails[type eq "work"]'},
        {"op": "Remove", "path": "name.familyName"},
        {"op": "Remove", "path": "title"},
    ).json()
    assert "emails" not in changed
    assert changed["name"] == {"formatted": "givenName familyName", "givenName": "givenName"}


def test_a_user_is_deleted_for_good_after_a_month(directory: Directory, user: Body) -> None:
    assert directory.send("DELETE", path_of(user)).status_code == httpx.codes.NO_CONTENT
    assert is_error(directory.send("GET", path_of(user)), 404)
    assert is_error(directory.send("DELETE", path_of(user)), 404)
    assert directory.found("/Users", f'externalId eq "{OBJECT_ID}"') == []


def test_a_second_user_of_the_name_is_a_conflict(directory: Directory, user: Body) -> None:
    body = {**entra_user(user["userName"].upper()), "externalId": str(uuid.uuid4())}
    assert is_error(directory.send("POST", "/Users", body), 409, "uniqueness")


def entra_group(name: str = "displayName") -> Body:
    """Return the body with which Entra creates a group: always empty, with a schema of its own."""
    return {
        "schemas": [GROUP, ADSCIM],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": name,
        "meta": {"resourceType": "Group"},
    }


@pytest.fixture
def group(directory: Directory) -> Body:
    """Return a group that Entra created."""
    response = directory.send("POST", "/Groups", entra_group())
    assert response.status_code == httpx.codes.CREATED, response.text
    made: Body = response.json()
    return made


def test_a_group_is_created_as_entra_does(directory: Directory, group: Body) -> None:
    assert group["displayName"] == "displayName"
    assert group["externalId"] == "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159"
    assert group["schemas"] == [GROUP]
    assert "members" not in group
    assert directory.found("/Groups", 'displayName eq "displayName"', excludedAttributes="members") == [group]


@pytest.mark.parametrize("verb", ["Add", "add"])
def test_members_are_added(directory: Directory, user: Body, group: Body, verb: str) -> None:
    told = [{"$ref": None, "value": user["id"]}]
    response = directory.patch(path_of(group), {"op": verb, "path": "members", "value": told})
    assert (response.status_code, response.content) == (httpx.codes.NO_CONTENT, b"")
    assert directory.members(group) == [user["id"]]
    directory.patch(path_of(group), {"op": verb, "path": "members", "value": told})
    assert directory.members(group) == [user["id"]]


def test_a_membership_is_looked_up(directory: Directory, user: Body, group: Body) -> None:
    text = f'id eq "{group["id"]}" and members eq "{user["id"]}"'
    assert directory.found("/Groups", text) == []
    directory.patch(path_of(group), {"op": "Add", "path": "members", "value": [{"value": user["id"]}]})
    assert [one["id"] for one in directory.found("/Groups", text, excludedAttributes="members")] == [
        group["id"]
    ]
    assert directory.get(path_of(user))["groups"][0]["value"] == group["id"]


@pytest.mark.parametrize("form", ["values", "filter", "value", "object"])
def test_one_member_is_removed_and_the_others_stay(directory: Directory, group: Body, form: str) -> None:
    lena, omar, ines = (directory.user(name) for name in ("lena", "omar", "ines"))
    told = [{"value": one["id"]} for one in (lena, omar, ines)]
    directory.patch(path_of(group), {"op": "Add", "path": "members", "value": told})
    operations: dict[str, Body] = {
        "values": {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": omar["id"]}]},
        "filter": {"op": "Remove", "path": f'members[value eq "{omar["id"]}"]'},
        "value": {"op": "Remove", "path": "members", "value": [omar["id"]]},
        "object": {"op": "Remove", "path": "members", "value": {"value": omar["id"]}},
    }
    assert directory.patch(path_of(group), operations[form]).status_code == httpx.codes.NO_CONTENT
    assert directory.members(group) == [lena["id"], ines["id"]]


def test_an_empty_list_of_members_removes_nobody_and_none_removes_all(
    directory: Directory, user: Body, group: Body
) -> None:
    directory.patch(path_of(group), {"op": "Add", "path": "members", "value": [{"value": user["id"]}]})
    directory.patch(path_of(group), {"op": "Remove", "path": "members", "value": []})
    assert directory.members(group) == [user["id"]]
    directory.patch(path_of(group), {"op": "Remove", "path": "members"})
    assert directory.members(group) == []


def test_a_group_is_renamed_and_its_id_replaced(directory: Directory, group: Body) -> None:
    new = str(uuid.uuid4())
    response = directory.patch(
        path_of(group),
        {"op": "Replace", "path": "displayName", "value": "Another name"},
        {"op": "Replace", "path": "externalId", "value": new},
    )
    assert response.status_code == httpx.codes.NO_CONTENT
    changed = directory.get(path_of(group), excludedAttributes="members")
    assert (changed["displayName"], changed["externalId"]) == ("Another name", new)


def test_a_group_is_deleted_and_its_members_stay(directory: Directory, user: Body, group: Body) -> None:
    directory.patch(path_of(group), {"op": "Add", "path": "members", "value": [{"value": user["id"]}]})
    assert directory.send("DELETE", path_of(group)).status_code == httpx.codes.NO_CONTENT
    assert is_error(directory.send("GET", path_of(group)), 404)
    assert "groups" not in directory.get(path_of(user))


def test_five_thousand_members_come_and_go(directory: Directory, group: Body) -> None:
    ids = value(
        directory.server.dsn,
        """with made as (
             insert into app_user (username, name_key, display_name, created_at)
             select 'u' || n, 'u' || n, 'u' || n, now() from generate_series(1, 5000) n
             returning id, username),
           known as (
             insert into scim_user (user_id, user_name, user_name_key, attributes, created_at, updated_at)
             select id, username, username, '{"active": true}', now(), now() from made returning scim_id)
           select array_agg(scim_id::text) from known""",
    )
    told = [{"$ref": None, "value": one} for one in ids]
    response = directory.patch(path_of(group), {"op": "Add", "path": "members", "value": told})
    assert response.status_code == httpx.codes.NO_CONTENT, response.text
    assert sorted(directory.members(group)) == sorted(ids)
    one_by_one = [{"op": "Remove", "path": f'members[value eq "{one}"]'} for one in ids[:-1]]
    assert directory.patch(path_of(group), *one_by_one).status_code == httpx.codes.NO_CONTENT
    assert directory.members(group) == ids[-1:]
    body: Body = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "members", "value": told}]}
    assert directory.send("PATCH", path_of(group), body).status_code == httpx.codes.NO_CONTENT
    assert len(directory.members(group)) == len(ids)
