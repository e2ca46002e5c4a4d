"""`If-Match` as requests send it, and where the interface demands it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from santaserver.errors import BadRequest, PreconditionRequired
from santaserver.inputs import Input
from santaserver.preconditions import ANY, entity_tag, if_match

DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
WITHOUT = {
    "DELETE /api/v1/auth/second-factor/totp": "removes what cannot be changed",
    "DELETE /api/v1/auth/passkeys/{passkey_id}": "removes what cannot be changed",
    "DELETE /api/v1/users/{user_id}/second-factor": "removes all there is, whatever it is",
    "PUT /api/v1/groups/{group_id}/members/{user_id}": "adds one member, whoever else there is",
    "DELETE /api/v1/groups/{group_id}/members/{user_id}": "removes one member, whoever else there is",
    "DELETE /api/v1/sessions": "ends sessions for good, whatever state they are in",
    "DELETE /api/v1/sessions/{session_id}": "the same for one; a second time changes nothing",
    "DELETE /api/v1/tokens/{token_id}": "revokes it for good, whatever state it is in",
    "DELETE /api/v1/scim/tokens/{scim_token_id}": "the same",
}
"""Changes that name no version, and why that loses nobody's change."""


# The header


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        (['"a"'], {'"a"'}),
        (['"a", "b"'], {'"a"', '"b"'}),
        (['"a"', '"b"'], {'"a"', '"b"'}),
        ([' , "a" ,,\t"b,c" , '], {'"a"', '"b,c"'}),
        (['""'], {'""'}),
        (['"\xe9!"'], {'"\xe9!"'}),
        (['W/"a", "b"'], {'W/"a"', '"b"'}),
    ],
)
def test_the_header_is_read_as_the_rfc_says(lines: list[str], tags: set[str]) -> None:
    assert if_match(lines).tags == frozenset(tags)


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        [" "],
        [","],
        ["a"],
        ['"a'],
        ['a"'],
        ['"a" "b"'],
        ['"a"b'],
        ['w/"a"'],
        ['W/ "a"'],
        ['*, "a"'],
        ["*", '"a"'],
        ["**"],
        ['"a b"'],
        ['"a\x7f"'],
        ["'a'"],
        ['"' + "a" * 5000 + '"'],
        ['"a",' * 2000],
    ],
)
def test_a_malformed_header_is_a_bad_request(lines: list[str]) -> None:
    with pytest.raises(BadRequest):
        if_match(lines)


def test_no_header_is_no_precondition() -> None:
    with pytest.raises(PreconditionRequired):
        if_match([])


def test_tags_are_compared_strongly_and_a_star_takes_what_is_there() -> None:
    etag = entity_tag("rule", 1, "BLOCKLIST", None)
    assert if_match([etag]).holds(etag)
    assert not if_match([f"W/{etag}"]).holds(etag)
    assert if_match([f'"x", W/{etag}, {etag}']).holds(etag)
    assert if_match([" * "]) == ANY
    assert ANY.holds(etag)


def test_a_tag_names_one_version_of_one_object() -> None:
    tags = {
        entity_tag("rule", 1, "a", "b"),
        entity_tag("rule", 1, "ab", ""),
        entity_tag("rule", 1, "a", None),
        entity_tag("rule", 2, "a", "b"),
        entity_tag("rule", "1", "a", "b"),
        entity_tag("tag", 1, "a", "b"),
        entity_tag("rule", 1, "b", "a"),
    }
    assert len(tags) == 7
    assert entity_tag("x", 1, {"a": 1, "b": 2}) == entity_tag("x", 1, {"b": 2, "a": 1})


# The document


def test_every_change_of_an_object_demands_the_header() -> None:
    found = {
        f"{method.upper()} {path}": [
            one for one in operation.get("parameters", []) if one["name"] == "If-Match" and one["required"]
        ]
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method in {"put", "patch", "delete"}
    }
    assert {name for name, demands in found.items() if not demands} == set(WITHOUT)
    assert len(found) > 15


def test_every_change_of_an_object_says_what_can_go_wrong() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if any(one["name"] == "If-Match" for one in operation.get("parameters", [])):
                assert {"400", "404", "412", "428"} <= operation["responses"].keys(), (method, path)


def request_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schema of each object that a request may hold, however deep."""
    schemas = DOCUMENT["components"]["schemas"]
    left = [
        (f"{method} {path}", operation["requestBody"]["content"]["application/json"]["schema"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    seen = set()
    while left:
        where, schema = left.pop()
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in seen:
                continue
            seen.add(name)
            where, schema = name, schemas[name]
        if schema.get("type") == "object":
            yield where, schema
        nested = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("allOf", [])]
        if "items" in schema:
            nested.append(schema["items"])
        left += [(where, one) for one in nested]


def is_map(schema: dict[str, Any]) -> bool:
    """Tell whether an object is a table with keys that the client chooses, with a limit on how many."""
    values = schema["additionalProperties"]
    return "properties" not in schema and "maxProperties" in schema and "type" in values


def test_no_request_takes_a_field_without_a_name() -> None:
    found = list(request_schemas())
    names = {name for name, _ in found}
    open_ones = [name for name, schema in found if schema.get("additionalProperties") is not False]
    maps = [name for name, schema in found if schema.get("additionalProperties") and is_map(schema)]
    assert open_ones == maps == ["RuleImport"]  # its `tag_names`
    assert {"RulePatch", "SettingsPatch", "MediaPolicyUpdate", "StaticRule", "Login"} <= names


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield all models below one."""
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def test_what_takes_requests_refuses_unknown_fields_with_their_path() -> None:
    assert all(model.model_config.get("extra") == "forbid" for model in models(Input))
