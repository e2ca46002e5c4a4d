"""Bytes, line ends, marks and separators: the same rules, and every place is that in the file."""

import json
from collections.abc import Callable

import pytest

from santaserver.importers.model import MAX_BYTES
from tests.importers.helpers import CDHASH, OTHER, SHA, TEAM, codes, only, place, report, rules

RULE = f'rule_type = "TEAMID"\npolicy = "ALLOWLIST"\nidentifier = "{TEAM}"\n'
MOROZ = f'client_mode = "MONITOR"\n\n[[rules]]\n{RULE}'
CSV = f"identifier,type,policy\n{SHA},BINARY,BLOCKLIST\n{TEAM},TEAMID,ALLOWLIST\n"
YAML = f"- rule_type: TEAMID\n  identifier: {TEAM}\n  policy: ALLOWLIST\n"
TF = f'resource "nps_workshop_rule" "a" {{\n{RULE}}}\n'
JSON = json.dumps({"rules": [{"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": TEAM}]}, indent=1)
ENDS: list[Callable[[str], bytes]] = [
    lambda text: text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(),
    lambda text: text.rstrip("\n").encode(),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").rstrip().encode(),
]


@pytest.mark.parametrize("written", ENDS)
@pytest.mark.parametrize("text", [MOROZ, CSV, YAML, TF, JSON])
def test_line_ends_and_byte_order_marks_change_nothing(text: str, written: Callable[[str], bytes]) -> None:
    expected, found = report(text), report(written(text))
    assert codes(found.mistakes) == []
    assert found.format == expected.format
    assert rules(found) == rules(expected)
    assert [one.place for one in found.rules] == [one.place for one in expected.rules]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", [MOROZ, CSV, YAML, JSON, '<?xml version="1.0"?><plist><dict/></plist>'])
def test_other_encodings_are_refused_by_name(text: str, encoding: str) -> None:
    found = only(report(text.encode(encoding)).mistakes)
    assert found.code == "encoding"
    assert "UTF-8" in found.message
    assert ("UTF-32" if encoding == "utf-32" else "UTF-16") in found.message


def test_bytes_that_are_not_utf8_have_their_line() -> None:
    found = only(report(CSV.encode() + b"x\xe9").mistakes)
    assert (found.code, place(found)) == ("encoding", (4, 2))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "sep={}\n"])
def test_tables_of_spreadsheets_have_any_separator_and_words(separator: str, mark: str) -> None:
    lines = [
        ["Identifier", "Rule Type", "Policy", "Comment"],
        [SHA.upper(), "Binary", "Block", 'a "b"'],
        [TEAM, "Team ID", "allow", ""],
        ["", "", "", ""],
        [f"{TEAM.lower()}:com.x", "Signing ID", "Silent Blocklist", ""],
    ]
    text = mark.format(separator) + "\r\n".join(separator.join(line) for line in lines)
    text = text.replace('a "b"', '"a ""b"""')
    found = report("\ufeff" + text)
    assert codes(found.mistakes) == []
    assert rules(found) == [
        ("global", "BINARY", SHA, "BLOCKLIST"),
        ("global", "TEAMID", TEAM, "ALLOWLIST"),
        ("global", "SIGNINGID", f"{TEAM}:com.x", "SILENT_BLOCKLIST"),
    ]
    first = 3 if mark else 2
    assert [one.place.line for one in found.rules] == [first, first + 1, first + 3]
    assert found.rules[0].comment == 'a "b"'


def test_what_spreadsheets_do_to_ids_is_named() -> None:
    found = report("identifier;type;policy\n1,23E+10;TEAMID;ALLOWLIST\n123456789;TEAMID;ALLOWLIST\n")
    assert [(one.code, one.place.line) for one in found.mistakes] == [
        ("bad_identifier", 2),
        ("bad_identifier", 3),
    ]
    texts = [one.message for one in found.mistakes]
    assert "spreadsheet" in texts[0]
    assert "leading zeros" in texts[1]


def test_minified_json_has_columns() -> None:
    text = '{"rules":[' + f'{{"rule_type":"TEAMID","policy":"ALLOWLIST","identifier":"{TEAM}"}},'
    bad = '{"rule_type":"BINARY","policy":"NOPE","identifier":"12"}'
    found = report(text + bad + "]}")
    policy, identifier = found.mistakes
    assert (policy.code, place(policy)) == ("unknown_policy", (1, len(text) + bad.index('"policy"') + 1))
    assert (identifier.code, place(identifier)) == (
        "bad_identifier",
        (1, len(text) + bad.index('"identifier"') + 1),
    )
    assert [one.entry for one in found.mistakes] == [2, 2]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"rules": [\n {"policy": "ALLOWLIST",}\n]}', 2),
        ('{"rules": [\n {},\n]}', 3),
        ('{"rules": [\n // note\n]}', 2),
        ('// note\n{"rules": []}', 1),
        ('{"rules": [\n]\n} x', 3),
        ('{"rules": [],\n"rules": []}', 2),
        ('{"rules": [\n {"identifier": 0123}]}', 2),
        ('{"rules": [', 1),
        ("- a: 1\n- &x b\n- *x", 2),
        ("rules:\n  - policy: !!str x", 2),
        ("rules:\n  - policy: a\n    policy: b", 3),
        ("rules: []\n---\nrules: []", 2),
        ("rules:\n  - a: [", 2),
        ('[[rules]]\na = "x"\na = "y"', 3),
        ("[[rules]]\npolicy = 'x", 2),
        ("[[rules]]\npolicy = '''x", 2),
        ('resource "a" "b" {\n x = "y\n}', 2),
        ('resource "a" "b" {\n x = <<E\n y\n}', 2),
        ('resource "a" "b" {\n x = [1\n}', 3),
        ('identifier,policy\n"x,y\n', 2),
        ("<plist><dict><key>a</key></plist>", 1),
        ('<!DOCTYPE plist [\n<!ENTITY a "b">]><plist><string>&a;</string></plist>', 2),
    ],
)
def test_what_is_not_valid_is_one_mistake_with_its_line(text: str, line: int) -> None:
    found = only(report(text).mistakes)
    assert found.code in {"syntax", "forbidden_xml"}
    assert found.place.line == line


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "known here"),
        (b"PK\x03\x04", "archive"),
        (b"SQLite format 3\0rest", "database"),
        (b"\x1f\x8b\x08", "unpack"),
        (b"bplist00", "binary"),
        (b"\x30\x80\x06", "signed"),
        (b" " * (MAX_BYTES + 1), "parts"),
        (b"a: b", "known here"),
        (b"{}", "known here"),
        (b"12", "known here"),
    ],
)
def test_other_files_are_refused_in_words(data: bytes, words: str) -> None:
    assert words in only(report(data).mistakes).message


def test_identifiers_are_found_in_what_dialogs_show() -> None:
    spaced = " ".join(SHA[at : at + 2].upper() for at in range(0, 64, 2))
    coloned = ":".join(OTHER[at : at + 2] for at in range(0, 64, 2))
    text = json.dumps(
        [
            {"type": "BINARY", "policy": "ALLOWLIST", "identifier": f"\u00a0{spaced}\u00a0"},
            {"type": "CERTIFICATE", "policy": "ALLOWLIST", "identifier": coloned},
            {"type": "TEAMID", "policy": "ALLOWLIST", "identifier": f"\u00a0{TEAM}\u200b"},
            {"type": "SIGNINGID", "policy": "ALLOWLIST", "identifier": "PLATFORM:com.A b:c_d-e"},
        ]
    )
    found = report(text)
    assert [one.identifier for one in found.rules] == [SHA, OTHER, TEAM, "platform:com.A b:c_d-e"]
    assert codes(found.warnings) == ["identifier_form"] * 4


@pytest.mark.parametrize("value", ["12", "NaN", "true", "[]", "{}", '"\\u0000"', '"\\ud800"'])
def test_values_that_are_no_texts_are_mistakes(value: str) -> None:
    text = f'{{"rules": [{{"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": {value}}}]}}'
    assert only(report(text).mistakes).code == "bad_value"


def test_ids_in_yaml_stay_texts() -> None:
    text = "\n".join(
        f"- {{rule_type: TEAMID, identifier: {one}, policy: ALLOWLIST}}"
        for one in ("0123456701", "1234E56789", "0o12345678", "1234567890", "0x12345678", "TRUETRUENO")
    )
    found = report(text)
    assert [one.identifier for one in found.rules] == [
        "0123456701", "1234E56789", "0O12345678", "1234567890", "0X12345678", "TRUETRUENO",
    ]  # fmt: skip
    assert found.outcome == "ok"


def test_an_unknown_cdhash_of_santactl_is_told_by_its_digits() -> None:
    text = json.dumps({"rules": [{"rule_type": "Unknown", "policy": "ALLOWLIST", "identifier": CDHASH}]})
    assert rules(report(text)) == [("global", "CDHASH", CDHASH, "ALLOWLIST")]
