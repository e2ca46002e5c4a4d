"""The requests that Okta sends, with their bodies as it writes them."""

import httpx
import pytest

from tests.scim.directory import ENTERPRISE, GROUP, PATCH, USER, Body, Directory, is_error, path_of
from tests.support.postgres import value

PASSWORD = "1mz050nq"


def okta_user() -> Body:
    """Return the body with which Okta creates a user."""
    return {
        "schemas": [USER],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": PASSWORD,
        "active": True,
    }


@pytest.fixture
def user(directory: Directory) -> Body:
    """Return a user that Okta created."""
    response = directory.send("POST", "/Users", okta_user())
    assert response.status_code == httpx.codes.CREATED, response.text
    made: Body = response.json()
    return made


def test_the_first_import_asks_for_numbers(directory: Directory, user: Body) -> None:
    answer = directory.get("/Users", startIndex="1", count="100")
    assert answer["Resources"] == [user]
    assert (answer["totalResults"], answer["startIndex"], answer["itemsPerPage"]) == (1, 1, 1)
    assert all(isinstance(answer[name], int) for name in ("totalResults", "startIndex", "itemsPerPage"))
    groups = directory.get("/Groups", startIndex="1", count="100")
    assert (groups["totalResults"], groups["Resources"]) == (0, [])


def test_a_user_is_looked_up_before_it_is_created(directory: Directory, user: Body) -> None:
    answer = directory.get("/Users", filter='userName eq "test.user@okta.local"', startIndex="1", count="100")
    assert answer["Resources"] == [user]


def test_the_password_is_not_kept(directory: Directory, user: Body) -> None:
    dsn = directory.server.dsn
    assert "password" not in user
    assert value(dsn, "select password_hash from app_user where username = 'test.user@okta.local'") is None
    assert PASSWORD not in value(dsn, "select string_agg(attributes::text, '') from scim_user")
    path = path_of(user)
    for operation in (
        {"op": "replace", "value": {"password": PASSWORD}},
        {"op": "replace", "path": "password", "value": PASSWORD},
    ):
        response = directory.patch(path, operation)
        assert response.status_code == httpx.codes.OK
        assert PASSWORD not in response.text


def test_a_wizard_application_puts_the_whole_user(directory: Directory, user: Body) -> None:
    body = {**okta_user(), "id": user["id"], "displayName": "Another User", "meta": {"resourceType": "User"}}
    response = directory.send("PUT", path_of(user), body)
    assert response.status_code == httpx.codes.OK, response.text
    changed = response.json()
    assert changed["displayName"] == "Another User"
    assert changed["id"] == user["id"]
    assert changed["meta"]["created"] == user["meta"]["created"]
    without = {name: told for name, told in body.items() if name not in {"displayName", "locale"}}
    assert "displayName" not in directory.send("PUT", path_of(user), without).json()


def test_a_wizard_application_deactivates_by_put(directory: Directory, user: Body) -> None:
    changed = directory.send("PUT", path_of(user), {**okta_user(), "active": False}).json()
    assert changed["active"] is False


def test_a_put_without_active_lets_nobody_in_again(directory: Directory, user: Body) -> None:
    directory.send("PUT", path_of(user), {**okta_user(), "active": False})
    body = {name: told for name, told in okta_user().items() if name != "active"}
    assert directory.send("PUT", path_of(user), body).json()["active"] is False
    directory.send("PUT", path_of(user), okta_user())
    assert directory.send("PUT", path_of(user), body).json()["active"] is True


def test_a_catalog_application_deactivates_without_a_path(directory: Directory, user: Body) -> None:
    changed = directory.patch(path_of(user), {"op": "replace", "value": {"active": False}}).json()
    assert changed["active"] is False
    assert changed["name"] == {"givenName": "Test", "familyName": "User"}


def test_a_user_of_the_same_name_is_a_conflict(directory: Directory, user: Body) -> None:
    body = {**okta_user(), "userName": user["userName"]}
    assert is_error(directory.send("POST", "/Users", body), 409, "uniqueness")


def test_what_okta_calls_attributes_of_the_enterprise_is_kept(directory: Directory) -> None:
    body = {**okta_user(), "schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": "IT", "costCenter": "7"}}
    made = directory.send("POST", "/Users", body).json()
    assert made[ENTERPRISE] == {"department": "IT", "costCenter": "7"}
    assert made["schemas"] == [USER, ENTERPRISE]


def test_a_group_is_pushed_with_its_members(directory: Directory, user: Body) -> None:
    members = [{"value": user["id"], "display": "test.user@okta.local"}]
    body = {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": members}
    made = directory.send("POST", "/Groups", body)
    assert made.status_code == httpx.codes.CREATED, made.text
    assert [one["value"] for one in made.json()["members"]] == [user["id"]]


def test_a_group_push_renames_without_a_path(directory: Directory) -> None:
    group = directory.group("Test SCIMv2")
    told = {"id": group["id"], "displayName": "Test SCIMv2 renamed"}
    response = directory.patch(path_of(group), {"op": "replace", "value": told})
    assert response.status_code == httpx.codes.NO_CONTENT, response.text
    assert directory.get(path_of(group))["displayName"] == "Test SCIMv2 renamed"


def test_a_group_push_adds_and_removes_in_one_request(directory: Directory, user: Body) -> None:
    other = directory.user("other")
    group = directory.group("Test SCIMv2", user)
    body = {
        "schemas": [PATCH],
        "Operations": [
            {"op": "remove", "path": f'members[value eq "{user["id"]}"]'},
            {"op": "add", "path": "members", "value": [{"value": other["id"], "display": "other"}]},
        ],
    }
    assert directory.send("PATCH", path_of(group), body).status_code == httpx.codes.NO_CONTENT
    assert directory.members(group) == [other["id"]]
    told = {"op": "replace", "path": "members", "value": [{"value": user["id"]}, {"value": other["id"]}]}
    directory.patch(path_of(group), told)
    assert sorted(directory.members(group)) == sorted([user["id"], other["id"]])


def test_a_group_is_put(directory: Directory, user: Body) -> None:
    group = directory.group("Test SCIMv2")
    body = {**group, "displayName": "Put", "members": [{"value": user["id"]}]}
    changed = directory.send("PUT", path_of(group), body)
    assert changed.status_code == httpx.codes.OK, changed.text
    assert (changed.json()["displayName"], len(changed.json()["members"])) == ("Put", 1)
    del body["members"]
    assert "members" not in directory.send("PUT", path_of(group), body).json()
