"""Requests from the OpenAPI document, each with one unusual value: hard to store, to parse or to show.

Where the random fuzzer finds one in a while, this puts each kind into each place.
"""

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

SHA256 = "ab" * 32
USUAL: dict[str, Any] = {
    "machine_id": "ODD-1",
    "identifier": SHA256,
    "rule_type": "BINARY",
    "policy": "BLOCKLIST",
    "layer": "global",
    "cel_expr": None,
    "starts_at": None,
    "expires_at": None,
    "content": "",
    "predicate": "true",
    "values": {"client_mode": "MONITOR"},
    "locked": False,
    "dry_run": False,
    "override_guard": True,
    "policy_seq": None,
    "enrollments": [],
    "secret": "x" * 32,
    "essentials": [],
    "static_rules": [],
    "custom_url": "",
    "event_detail_url": "",
    "allowed_path_regex": "",
    "blocked_path_regex": "",
    "flags": [],
    "If-Match": "*",
}
"""What a field says when it is not its turn to be odd: something that is accepted."""

STRANGER = "mispelt"
TEXTS = ("\0", "a\0b", "\ud83d", "x\udc00", "\r", "a\r\nb", "\u202e", "\ufffe", "=1+1", "%00", "x" * 5000, "")
TIMES = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "294277-01-01T00:00:00Z",
    "2030-02-30T00:00:00Z",
    1e300,
    -1e300,
    "NaN",
)
HEADERS = (
    "",
    "*, *",
    '"',
    '"a',
    'W/"a"',
    '"\u202e"',
    "\ufffe",
    "%00",
    '"' + "x" * 5000 + '"',
    '"",' * 3000,
)
"""What a client can send as a header at all."""
NUMBERS = (10**25, -(10**25), 2**63, 2**31, -(2**63) - 1, 1e308, -0.0, int("9" * 4000))
KEYS: tuple[list[Any], ...] = (
    ["0001-01-01T00:00:00+14:00", 1],
    ["9999-12-31T23:59:59-14:00", 1],
    ["9999-12-31T23:59:59.999999+00:00", 2**63],
    ["2026-01-01", 1],
    ["2026-01-01T00:00:00+00:00", 10**25],
    ["BINARY", "\ud800"],
    ["a\0b", 1],
    ["x", -(10**25)],
    [10**25],
    [-(2**63) - 1],
    [True],
    [[[]]],
)
CURSORS = tuple(base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=") for key in KEYS)


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    odd: str
    """What about it is odd, for a message."""
    query: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: dict[str, bytes] = field(default_factory=dict)


def calls(document: dict[str, Any]) -> Iterator[Call]:
    """Yield every odd request to every endpoint."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _of_operation(document, method.upper(), path, operation)


def misspelled(document: dict[str, Any]) -> Iterator[tuple[Call, str]]:
    """Yield requests with a name that no endpoint knows, once in each place that takes names."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            usual = {item["name"]: _example(document, item["schema"], item["name"]) for item in parameters}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            label = f"{method} {path}"
            plain = None if body is None else _example(document, body["schema"], "")
            call = _call(method.upper(), path, parameters, usual, plain, label)
            yield replace(call, query={**call.query, STRANGER: "1"}), STRANGER
            for where, place in _leaves(document, body["schema"], plain) if body else ():
                if "properties" in place:
                    inner = {**_example(document, place, ""), STRANGER: 1}
                    made = _call(method.upper(), path, parameters, usual, _with(plain, where, inner), label)
                    yield made, ".".join(map(str, (*where, STRANGER)))


def _of_operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Iterator[Call]:
    parameters = operation.get("parameters", [])
    usual = {item["name"]: _example(document, item["schema"], item["name"]) for item in parameters}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    plain = None if body is None else _example(document, body["schema"], "")
    for item in parameters:
        name = item["name"]
        odd = HEADERS if item["in"] == "header" else _oddities(document, item["schema"], name)
        for value in odd:
            yield _call(method, path, parameters, usual | {name: value}, plain, f"{name}={value!r:.60}")
    if body is not None:
        for where, place in _leaves(document, body["schema"], plain):
            for value in _oddities(document, place, where[-1] if where else ""):
                yield _call(
                    method, path, parameters, usual, _with(plain, where, value), f"{where}={value!r:.60}"
                )


def _call(
    method: str,
    path: str,
    parameters: list[Any],
    values: dict[str, Any],
    body: Any,  # noqa: ANN401 - any JSON value
    odd: str,
) -> Call:
    query, headers = {}, {}
    for item in parameters:
        value = values[item["name"]]
        text = value if isinstance(value, str) else json.dumps(value)
        if item["in"] == "path":
            written = quote(text.encode("utf-8", "surrogatepass"), safe="")
            path = path.replace(f"{{{item['name']}}}", written or "%20")
        elif item["in"] == "header":
            headers[item["name"]] = text.encode()
        elif value is not None:
            query[item["name"]] = quote(text.encode("utf-8", "surrogatepass"), safe="")
    return Call(method, path, odd, query, None if body is None else json.dumps(body).encode(), headers)


def _oddities(document: dict[str, Any], schema: dict[str, Any], name: str | int) -> tuple[Any, ...]:
    schema = _resolved(document, schema)
    if name == "cursor":
        return CURSORS + TEXTS
    kind = schema.get("type")
    if schema.get("format") == "date-time":
        return TIMES
    if kind == "string":
        start = schema.get("pattern", "").find("tag:")
        return TEXTS if start < 0 else TEXTS + tuple(f"tag:{text}" for text in TEXTS)
    if kind in {"integer", "number"}:
        return NUMBERS
    return (10**25, "\0", "\ud83d", [["\0"]], {"\ud83d": "\0"}, None)


def _leaves(
    document: dict[str, Any],
    schema: dict[str, Any],
    plain: Any,  # noqa: ANN401 - any JSON value
    where: tuple[Any, ...] = (),
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield every place in a body with its schema, the body itself included."""
    schema = _resolved(document, schema)
    yield where, schema
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            value = plain.get(name) if isinstance(plain, dict) else None
            yield from _leaves(document, inner, value, (*where, name))
    elif schema.get("type") == "array":
        yield from _leaves(document, schema["items"], None, (*where, 0))


def _with(plain: Any, where: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401
    if not where:
        return value
    step, *rest = where
    if step == 0:
        return [_with(None, tuple(rest), value)]
    made = deepcopy(plain) if isinstance(plain, dict) else {}
    made[step] = _with(made.get(step), tuple(rest), value)
    return made


def _example(document: dict[str, Any], schema: dict[str, Any], name: str) -> Any:  # noqa: ANN401
    schema = _resolved(document, schema)
    kind = schema.get("type")
    if kind == "array":
        return USUAL.get(name, []) if name == "flags" else []
    if name in USUAL and not (name == "locked" and kind != "boolean"):
        return USUAL[name]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "properties" in schema:
        return {inner: _example(document, part, inner) for inner, part in schema["properties"].items()}
    if kind in {"integer", "number"}:
        return schema.get("default") or schema.get("minimum", 1)
    return {"boolean": False, "string": "usual"}.get(str(kind))


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
        elif "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            return schema
