"""Path patterns are refused unless a Mac can compile them and they always mean the same."""

import httpx
import pytest

from santaserver.sync_settings.path_pattern import PatternError, check_pattern
from tests.sync.helpers import sha

GOOD = [
    "",
    "^/tmp/",
    "^(?:/tmp/|/var/tmp/).*",
    r"^/Users/[^/]+/Downloads/.*\.dmg$",
    r"^/Applications/(?<name>\w+)\.app/\k<name>",
    r"^/x[[:alpha:]&&[^aeiou]]*+$",
    r"^(?i)/opt/(?>a|b){2,3}?/\p{Lu}\p{^Greek}\x{1F600}\Q(((\E",
    r"^[]a-z\-]{1,}(?#why)\bx(?<!y)(a)\1",
    r"^/Users/Shared/\.",
]
BAD = [
    "(((",
    "^(((",
    "^/a)",
    "^[a-",
    "^*",
    "^a**b",
    "^a{2,1}",
    "^a{x}",
    "^a{",
    "^a}",
    "^(?P<name>a)",
    r"^\y",
    "^a\\",
    r"^(a)\2",
    "^[z-a]",
    "^(?<1>a)",
    "^(?",
    r"^\p{",
    "^" + "(" * 60 + ")" * 60,
    "/usr/",
    "/a|/b",
    "^/a|/b",
    "(?:^/a)",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_what_a_mac_compiles_is_taken(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", BAD)
def test_what_a_mac_cannot_use_is_explained(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"ICU|\^\(\?:…\)"):
        check_pattern(pattern)


def test_patterns_and_addresses_are_checked_in_every_layer(admin: httpx.Client) -> None:
    for values in (
        {"allowed_path_regex": "((("},
        {"blocked_path_regex": "/a|/b"},
        {"event_detail_url": "javascript:alert(1)"},
        {"event_detail_url": "http://x.example/"},
        {"event_detail_text": "a\u202eb"},
    ):
        field = next(iter(values))
        refused = admin.patch("/api/v1/settings", json=values)
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert [item["field"] for item in refused.json()["errors"]] == [field]
        layered = admin.patch("/api/v1/settings/layer?layer=global", json={"values": values})
        assert [item["field"] for item in layered.json()["errors"]] == [f"values.{field}"]
    good = {"allowed_path_regex": "^(?:/a|/b)", "event_detail_url": "https://x.example/%file_identifier%"}
    assert admin.patch("/api/v1/settings", json=good).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "http://x.example",
        "https://",
        "https:///x",
        "https://user@evil.example/",
        "https:\\\\x.example",
        " https://x.example",
        "file:///etc/passwd",
        "NULL",
        "https://x.example/\u202e",
    ],
)
def test_only_https_is_opened_by_a_rules_button(admin: httpx.Client, address: str) -> None:
    rule = {"rule_type": "BINARY", "identifier": sha(1), "policy": "BLOCKLIST", "custom_url": address}
    refused = admin.post("/api/v1/rules", json=rule)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [item["field"] for item in refused.json()["errors"]] == ["custom_url"]
    for good in ("null", "", "https://x.example:8443/%machine_id%?a=b#c"):
        found = admin.post("/api/v1/rules/import", json={"format": "json", "content": _file(rule, good)})
        assert found.json()["mistakes"] == []


def _file(rule: dict[str, str], address: str) -> str:
    return httpx.Request("POST", "http://x", json=[{**rule, "custom_url": address}]).content.decode()
