"""The protocol over HTTP: discovery, paging, versions, what responses show, and what is refused."""

import uuid

import httpx
import pytest

from tests.scim.directory import (
    ENTERPRISE,
    GROUP,
    LIST,
    MEDIA_TYPE,
    PATCH,
    SCIM,
    USER,
    Body,
    Directory,
    is_error,
    path_of,
)

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
NOBODY = "00000000-1111-4222-8333-444444444444"


def test_what_is_supported_is_said_truthfully(directory: Directory) -> None:
    told = directory.get("/ServiceProviderConfig")
    supported = {name: value["supported"] for name, value in told.items() if "supported" in value}
    assert supported == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": False,
        "etag": True,
    }
    assert told["authenticationSchemes"][0]["type"] == "oauthbearertoken"
    for path in ("/Bulk", "/Me"):
        assert is_error(directory.send("POST", path, {}), 501)


def test_types_and_schemas_are_described(directory: Directory) -> None:
    types = directory.get("/ResourceTypes")
    assert [one["endpoint"] for one in types["Resources"]] == ["/Users", "/Groups"]
    for one in types["Resources"]:
        assert directory.get(f"/ResourceTypes/{one['id']}") == one
    schemas = directory.get("/Schemas")
    assert [one["id"] for one in schemas["Resources"]] == [USER, ENTERPRISE, GROUP]
    for one in schemas["Resources"]:
        assert directory.get(f"/Schemas/{one['id']}") == one
    assert is_error(directory.send("GET", "/Schemas/urn:nothing"), 404)
    assert is_error(directory.send("GET", "/Schemas", params={"filter": "id pr"}), 403)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/Users", "GET, POST"),
        ("DELETE", "/Groups", "GET, POST"),
        ("POST", f"/Users/{NOBODY}", "GET, PUT, PATCH, DELETE"),
        ("GET", "/Users/.search", "POST"),
        ("POST", "/Schemas", "GET"),
        ("OPTIONS", "/ServiceProviderConfig", "GET"),
    ],
)
def test_a_method_that_there_is_not(directory: Directory, method: str, path: str, allowed: str) -> None:
    response = directory.send(method, path, headers={"Content-Type": "text/plain"}, content=b"{")
    assert is_error(response, 405)
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path",
    ["/Nothing", "/Users/1", f"/Users/{NOBODY}", "/Users/{}", "/Users/a/b", f"/Groups/{NOBODY}"],
)
def test_what_there_is_not_is_not_found(directory: Directory, path: str) -> None:
    assert is_error(directory.send("GET", path), 404)


def test_scim_is_at_its_path_only(directory: Directory) -> None:
    for path in ("/scim", "/scim/", "/scim/v1/Users", "/scim/v2x/Users"):
        assert is_error(directory.client.get(path), 404)


def test_pages(directory: Directory) -> None:
    made = [directory.user(f"person{number}")["id"] for number in range(5)]

    def page(**parameters: str) -> tuple[list[str], int, int, int]:
        answer = directory.get("/Users", **parameters)
        assert answer["schemas"] == [LIST]
        ids = [one["id"] for one in answer["Resources"]]
        return ids, answer["totalResults"], answer["startIndex"], answer["itemsPerPage"]

    assert page() == (made, 5, 1, 5)
    assert page(startIndex="2", count="2") == (made[1:3], 5, 2, 2)
    assert page(startIndex="5", count="2") == (made[4:], 5, 5, 1)
    assert page(startIndex="6") == ([], 5, 6, 0)
    assert page(startIndex="0") == page(startIndex="-7") == (made, 5, 1, 5)
    assert page(count="0") == page(count="-1") == ([], 5, 1, 0)
    assert page(count="99999999999999999999999") == (made, 5, 1, 5)
    assert page(startIndex="9" * 60)[:2] == ([], 5)
    found = page(filter='userName sw "PERSON"', startIndex="2", count="3")
    assert found == (made[1:4], 5, 2, 3)
    assert page(sortBy="userName", sortOrder="descending") == (made, 5, 1, 5)


@pytest.mark.parametrize("number", ["x", "1.5", "1e3", "\u0661", "0x1", "--1"])
@pytest.mark.parametrize("name", ["startIndex", "count"])
def test_a_page_is_a_number(directory: Directory, name: str, number: str) -> None:
    assert is_error(directory.send("GET", "/Users", params={name: number}), 400, "invalidValue")


@pytest.mark.parametrize("path", ["/Users", "/Groups"])
@pytest.mark.parametrize(
    "text", ["x", 'color eq "x"', 'id eq "' + "x" * 7000, "not (" * 500 + "id pr" + ")" * 500, "\0", "é"]
)
def test_a_wrong_filter_is_refused(directory: Directory, path: str, text: str) -> None:
    assert is_error(directory.send("GET", path, params={"filter": text}), 400, "invalidFilter")


def test_filters_over_everything_are_answered(directory: Directory) -> None:
    lena = directory.user("lena", title="Boss", active=False)
    omar = directory.user("omar", emails=[{"value": "Omar@x.org"}])
    lab = directory.group("Lab", omar)
    assert directory.found("/Users", "active eq false") == [lena]
    assert directory.found("/Users", 'title co "bos" or userName eq "nobody"') == [lena]
    assert [one["id"] for one in directory.found("/Users", 'groups.display eq "lab"')] == [omar["id"]]
    assert [one["id"] for one in directory.found("/Users", 'emails.value eq "omar@X.org"')] == [omar["id"]]
    assert directory.found("/Users", f'id eq "{lena["id"]}"') == [lena]
    assert directory.found("/Users", 'id eq "1"') == []
    assert directory.found("/Groups", "members pr") == [lab]
    assert directory.found("/Groups", "not (members pr)") == []
    assert directory.found("/Groups", f'members.value eq "{lena["id"]}"') == []
    assert directory.found("/Groups", 'members eq "x"') == []


def test_a_search_may_be_posted(directory: Directory) -> None:
    lena = directory.user("lena")
    directory.user("omar")
    lab = directory.group("Lab")
    body: Body = {"schemas": [SEARCH], "filter": 'userName eq "LENA"', "attributes": ["userName"]}
    answer = directory.send("POST", "/Users/.search", body).json()
    assert answer["Resources"] == [{"schemas": [USER], "id": lena["id"], "userName": "lena"}]
    everything = directory.send("POST", "/.search", {"schemas": [SEARCH], "startIndex": 2, "count": 2}).json()
    assert everything["totalResults"] == 3
    assert [one.get("userName", one.get("displayName")) for one in everything["Resources"]] == ["omar", "Lab"]
    groups = directory.send("POST", "/.search", {"schemas": [SEARCH], "filter": "members pr or id pr"}).json()
    assert groups["Resources"] == [lab]
    assert is_error(
        directory.send("POST", "/.search", {"schemas": [SEARCH], "filter": "color pr"}), 400, "invalidFilter"
    )


def test_responses_show_what_is_asked_for(directory: Directory) -> None:
    user = directory.user(
        "lena",
        schemas=[USER, ENTERPRISE],
        name={"givenName": "Lena", "familyName": "K"},
        emails=[{"value": "l@x", "type": "work"}],
        **{ENTERPRISE: {"department": "IT", "division": "D"}},
    )
    path = path_of(user)
    fixed = {"schemas": user["schemas"], "id": user["id"]}
    assert directory.get(path, attributes="userName") == {**fixed, "userName": "lena"}
    assert directory.get(path, attributes="NAME.GivenName,emails.value,color") == {
        **fixed,
        "name": {"givenName": "Lena"},
        "emails": [{"value": "l@x"}],
    }
    assert directory.get(path, attributes=f"{ENTERPRISE}:department") == {
        **fixed,
        ENTERPRISE: {"department": "IT"},
    }
    assert directory.get(path, attributes=ENTERPRISE)[ENTERPRISE] == user[ENTERPRISE]
    less = directory.get(path, excludedAttributes="id,name.familyName,emails,meta,schemas")
    assert less == {
        **fixed,
        "userName": "lena",
        "active": True,
        "name": {"givenName": "Lena"},
        ENTERPRISE: user[ENTERPRISE],
    }
    made = directory.send(
        "POST", "/Users", {"schemas": [USER], "userName": "omar"}, params={"attributes": "userName"}
    )
    assert made.json().keys() == {"schemas", "id", "userName"}


def test_a_change_of_a_group_is_shown_when_attributes_are_asked_for(directory: Directory) -> None:
    group = directory.group("Lab", directory.user("lena"))
    body: Body = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "externalId", "value": "e"}]}
    response = directory.send("PATCH", path_of(group), body, params={"attributes": "externalId"})
    assert response.status_code == httpx.codes.OK
    assert response.json() == {"schemas": [GROUP], "id": group["id"], "externalId": "e"}
    assert response.headers["etag"] == 'W/"2"'


def test_versions(directory: Directory) -> None:
    made = directory.send("POST", "/Users", {"schemas": [USER], "userName": "lena"})
    user, tag = made.json(), made.headers["etag"]
    assert tag == user["meta"]["version"]
    assert made.headers["location"] == user["meta"]["location"] == f"http://testserver{SCIM}{path_of(user)}"
    same = directory.send("GET", path_of(user), headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (httpx.codes.NOT_MODIFIED, b"")

    def change(title: str, condition: str) -> httpx.Response:
        body = {"schemas": [USER], "userName": "lena", "title": title}
        return directory.send("PUT", path_of(user), body, headers={"If-Match": condition})

    changed = change("a", tag)
    assert changed.status_code == httpx.codes.OK
    assert changed.headers["etag"] != tag
    assert changed.json()["meta"]["lastModified"] >= user["meta"]["lastModified"]
    assert is_error(change("b", tag), 412)
    assert is_error(directory.send("DELETE", path_of(user), headers={"If-Match": tag}), 412)
    nothing = change("a", changed.headers["etag"])
    assert nothing.headers["etag"] == changed.headers["etag"]
    assert change("c", f'"x", {changed.headers["etag"]}').status_code == httpx.codes.OK
    assert change("d", "*").status_code == httpx.codes.OK


def test_versions_tell_of_memberships(directory: Directory) -> None:
    user = directory.user("lena")
    group = directory.group("Lab", user)
    joined = directory.get(path_of(user))
    assert joined["meta"]["version"] != user["meta"]["version"]
    directory.patch(path_of(group), {"op": "replace", "path": "displayName", "value": "Office"})
    renamed = directory.get(path_of(user))
    assert renamed["groups"][0]["display"] == "Office"
    assert renamed["meta"]["version"] != joined["meta"]["version"]
    before = directory.get(path_of(group))
    directory.send("DELETE", path_of(user))
    after = directory.get(path_of(group))
    assert "members" not in after
    assert after["meta"]["version"] != before["meta"]["version"]


@pytest.mark.parametrize("media", [MEDIA_TYPE, "application/json", "application/json; charset=utf-8"])
def test_both_media_types_are_read_and_written(directory: Directory, media: str) -> None:
    wanted = media.partition(";")[0]
    body = {"schemas": [USER], "userName": "lena"}
    response = directory.send("POST", "/Users", body, headers={"Content-Type": media, "Accept": media})
    assert response.status_code == httpx.codes.CREATED
    assert response.headers["content-type"] == wanted
    assert response.headers["cache-control"] == "no-store"


def test_other_bodies_are_refused(directory: Directory) -> None:
    def sent(content: bytes, media: str = MEDIA_TYPE, **headers: str) -> httpx.Response:
        fields = {"Content-Type": media, **headers}
        return directory.send("POST", "/Users", headers=fields, content=content)

    assert is_error(sent(b"{}", "text/plain"), 415)
    assert is_error(sent(b"{}", "application/xml"), 415)
    assert is_error(sent(b"{}", **{"Content-Encoding": "gzip"}), 415)
    for broken in (b"", b"{", b"\xff\xfe", b'{"a": }', b"[" * 40_000, b'{"a":' * 40_000):
        assert is_error(sent(broken), 400, "invalidSyntax")
    for other in (b"[]", b"7", b'"x"', b"null", b"{}", b'{"schemas": "x"}', b'{"schemas": ["urn:x"]}'):
        assert is_error(sent(other), 400, "invalidSyntax")
    assert is_error(sent(b" " * (2 * 1024 * 1024 + 1)), 413)
    assert is_error(sent(b"[" + b"{}," * 60_000 + b"{}]"), 413)
    assert is_error(sent(b"[" * 100_000), 413)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"userName": ""},
        {"userName": "  "},
        {"userName": None},
        {"userName": 7.5, "active": "perhaps"},
        {"userName": "\u200b\u200d"},
        {"userName": "x" * 201},
        {"userName": "a\u202eb"},
        {"userName": "lena", "name": "Lena"},
        {"userName": "lena", "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": "true"}]},
        {"userName": "lena", "title": {"a": 1}},
        {"userName": "lena", ENTERPRISE: "x"},
        {"userName": ["lena", "omar"]},
    ],
)
def test_a_user_needs_sound_values(directory: Directory, fields: Body) -> None:
    response = directory.send("POST", "/Users", {"schemas": [USER], **fields})
    assert is_error(response, 400, response.json()["scimType"])
    assert response.json()["scimType"] in {"invalidValue", "invalidSyntax"}
    assert directory.get("/Users")["totalResults"] == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("lena@example.org", "LENA@Example.org"),
        ("Straße", "STRASSE"),
        ("lena", "\uff4c\uff45\uff4e\uff41"),  # full width
        ("lena", "l\u0435na"),  # a Cyrillic letter
        ("lena", "le\u200bna"),  # something that is not seen
        ("\u212bsa", "\u00e5sa"),
        ("lena k", "lena  k"),
    ],
)
def test_names_that_look_alike_are_one_name(directory: Directory, first: str, second: str) -> None:
    user = directory.user(first)
    response = directory.send("POST", "/Users", {"schemas": [USER], "userName": second})
    assert is_error(response, 409, "uniqueness")
    other = directory.user("other")
    told = {"op": "replace", "path": "userName", "value": second}
    assert is_error(directory.patch(path_of(other), told), 409, "uniqueness")
    body = {"schemas": [USER], "userName": second}
    assert is_error(directory.send("PUT", path_of(other), body), 409, "uniqueness")
    assert directory.send("PUT", path_of(user), body).status_code == httpx.codes.OK


def test_ids_of_the_directory_are_unique_and_case_matters(directory: Directory) -> None:
    directory.user("lena", externalId="e1")
    response = directory.send("POST", "/Users", {"schemas": [USER], "userName": "omar", "externalId": "e1"})
    assert is_error(response, 409, "uniqueness")
    directory.user("omar", externalId="E1")
    assert [one["userName"] for one in directory.found("/Users", 'externalId eq "E1"')] == ["omar"]
    directory.group("Lab", externalId="e1")
    response = directory.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "B", "externalId": "e1"})
    assert is_error(response, 409, "uniqueness")
    assert is_error(
        directory.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "LAB"}), 409, "uniqueness"
    )


def test_a_group_has_only_members_that_there_are(directory: Directory) -> None:
    group = directory.group("Lab")
    for wrong in (str(uuid.uuid4()), "1", "x" * 500, "\0"):
        told = {"op": "add", "path": "members", "value": [{"value": wrong}]}
        assert is_error(directory.patch(path_of(group), told), 400, "invalidValue")
    nested = {"op": "add", "path": "members", "value": [{"value": group["id"]}]}
    assert is_error(directory.patch(path_of(group), nested), 400, "invalidValue")
    assert directory.members(group) == []
    assert is_error(directory.send("POST", "/Groups", {"schemas": [GROUP]}), 400, "invalidValue")
    told = {"op": "remove", "path": "displayName"}
    assert is_error(directory.patch(path_of(group), told), 400, "mutability")


def test_a_patch_that_fails_changes_nothing(directory: Directory) -> None:
    user = directory.user("lena", title="Boss")
    response = directory.patch(
        path_of(user),
        {"op": "replace", "path": "title", "value": "Other"},
        {"op": "replace", "path": "active", "value": "perhaps"},
    )
    assert is_error(response, 400, "invalidValue")
    assert directory.get(path_of(user)) == user


def test_a_patch_of_everything_to_nothing_leaves_a_name_that_cannot_sign_in(directory: Directory) -> None:
    user = directory.user(
        "lena", title="Boss", emails=[{"value": "a"}], externalId="e", **{ENTERPRISE: {"division": "D"}}
    )
    names = [name for name in user if name not in {"schemas", "id", "meta", "userName"}]
    response = directory.patch(path_of(user), *({"op": "remove", "path": name} for name in names))
    assert response.status_code == httpx.codes.OK, response.text
    assert response.json().keys() == {"schemas", "id", "meta", "userName"}
    assert is_error(directory.patch(path_of(user), {"op": "remove", "path": "userName"}), 400, "mutability")
    told = {"op": "replace", "value": {"userName": ""}}
    assert is_error(directory.patch(path_of(user), told), 400, "invalidValue")
