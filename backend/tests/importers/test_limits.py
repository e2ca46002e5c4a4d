"""No input raises or takes long: bombs, deep nesting, unclosed texts, random and damaged files."""

import io
import json
import plistlib
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santaserver.importers import collect
from santaserver.importers.model import MAX_MISTAKES, Report
from santaserver.importers.reader import read
from tests.importers.helpers import SHA, TEAM, codes, only, report

FIXTURES = sorted(path for path in (Path(__file__).parent / "fixtures").glob("*/*") if path.is_file())
LONG = 100_000
BEGINNINGS = {
    "toml": '[[rules]]\nrule_type = "TEAMID"\n',
    "hcl": 'resource "nps_workshop_rule" "a" {\n',
    "yaml": "rules:\n  - policy: ALLOWLIST\n",
    "json": '{"rules": [{"policy": "ALLOWLIST"},',
    "csv": "identifier,policy\n",
    "xml": '<?xml version="1.0"?><plist><dict>',
}
PIECES = [
    "[", "{", '"', "'", '"""', "'''", "((", "${", '"${', "a.", "a.b=", "[a.", "/*", "<<E\n", "<<-E\nE", "- ",
    "? ", "&a ", "*a ", "\\", ": ", "{a: ", "[[", "<dict>", "<!--", "&lt;", "\n", "\n\n ", ",", ";", "=",
    "$", "%{", "#",
]  # fmt: skip


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("piece", PIECES)
def test_repetition_ends_in_a_report(beginning: str, piece: str) -> None:
    found = report(beginning + piece * (LONG // len(piece)))
    assert isinstance(found, Report)
    assert found.mistakes.total or not found.rules


def test_a_yaml_bomb_is_refused_where_it_begins() -> None:
    lines = ["a: &a [x, x]"] + [
        f"{name}: &{name} [*{before}, *{before}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    wrong = only(report("\n".join(lines)).mistakes)
    assert (wrong.code, wrong.place.line) == ("syntax", 1)


def test_a_property_list_whose_parts_are_shared_is_not_expanded() -> None:
    shared: list[object] = ["x"]
    for _ in range(40):
        shared = [shared, shared]
    wrong = only(report(plistlib.dumps({"StaticRules": shared}, fmt=plistlib.FMT_BINARY)).mistakes)
    assert wrong.code == "syntax"


def test_a_message_of_nested_parts_is_refused() -> None:
    for data in (b"\x30\x80" * 100_000, b"\x30\x84\x7f\xff\xff\xff", b"\x30\xff" + b"\xff" * 300):
        assert only(report(data).mistakes).code == "syntax"


def test_a_number_of_any_length_is_a_mistake() -> None:
    assert "bad_value" in codes(report('{"rules": [{"policy": ' + "9" * LONG + "}]}").mistakes)


def test_mistakes_end_at_a_limit() -> None:
    found = report(json.dumps({"rules": [1] * (MAX_MISTAKES * 3)}))
    assert found.mistakes.total == MAX_MISTAKES + 1
    assert (found.rules, "too_large" in codes(found.mistakes)) == ([], True)


def test_rows_end_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_ROWS", 3)
    rows = [{"rule_type": "BINARY", "policy": "BLOCKLIST", "identifier": f"{one:064x}"} for one in range(4)]
    assert only(report(json.dumps({"rules": rows})).mistakes).code == "too_large"


def big_json(number: int) -> str:
    rows = (
        {"rule_type": "BINARY", "policy": "BLOCKLIST", "identifier": f"{one:064x}"} for one in range(number)
    )
    return json.dumps({"rules": list(rows)}, separators=(",", ":"))


def big_csv(number: int) -> str:
    return "type,identifier,policy\n" + "".join(f"BINARY,{one:064x},BLOCKLIST\n" for one in range(number))


def big_yaml(number: int) -> str:
    return "".join(
        f"- {{rule_type: BINARY, identifier: {one:064x}, policy: BLOCKLIST}}\n" for one in range(number)
    )


def big_toml(number: int) -> str:
    rule = '[[rules]]\nrule_type="BINARY"\npolicy="BLOCKLIST"\nidentifier="{:064x}"\n'
    return "".join(rule.format(one) for one in range(number))


def big_hcl(number: int) -> str:
    rule = 'resource "nps_workshop_rule" "a{0}" {{\n rule_type="BINARY"\n'
    rule += ' policy="BLOCKLIST"\n identifier="{0:064x}"\n}}\n'
    return "".join(rule.format(one) for one in range(number))


@pytest.mark.parametrize("make", [big_json, big_csv, big_yaml, big_toml, big_hcl])
def test_many_rules_are_read_in_memory_that_grows_with_them(make: Callable[[int], str]) -> None:
    number = 500
    data = make(number).encode()
    tracemalloc.start()
    found = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found.rules), found.outcome) == (number, "ok")
    assert peak < 60 * len(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_reported(data: bytes) -> None:
    assert read(data).format


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(BEGINNINGS.values())),
    st.text(st.sampled_from("\"'[]{}(),=:-#$%\\\n\r\t &*!|><aA1.;/"), max_size=80),
)
def test_random_texts_in_every_language_are_reported(beginning: str, text: str) -> None:
    assert report(beginning + text).format


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_damaged_files_are_reported(path: Path) -> None:
    data = path.read_bytes()
    chance = random.Random(path.name)
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(changed))
            action = chance.randrange(3)
            if action == 0:
                changed[at] = chance.randrange(256)
            elif action == 1:
                del changed[at : at + chance.randint(1, 40)]
            else:
                changed[at:at] = changed[at : at + chance.randint(1, 40)]
            if not changed:
                break
        assert read(bytes(changed)).format


def test_damaged_archives_are_reported() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(
            "a.toml", f'[[rules]]\nrule_type = "TEAMID"\npolicy = "ALLOWLIST"\nidentifier = "{TEAM}"\n'
        )
    data, chance = out.getvalue(), random.Random(1)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(4, len(changed))] = chance.randrange(256)
        assert read(bytes(changed)).format


def ruleset(number: int) -> str:
    scope = {
        "tags": [f"a{one}" for one in range(number)],
        "excluded_tags": [f"b{one}" for one in range(number)],
    }
    rule = {"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": TEAM}
    return json.dumps({"name": "a", "configurations": [], "rules": [rule | scope]})


@pytest.mark.parametrize(
    "text",
    [
        '{"rules": [{' + ",".join(f'"k{one}": 1' for one in range(30_000)) + "}]}",
        ",".join(["identifier", "policy", *(f"c{one % 900}" for one in range(9_000))]) + "\na,b\n",
        ruleset(20_000),
        '{"values": {"root_module": {"resources": true, "child_modules": true}}}',
        '{"values": {"root_module": {"child_modules": [' + ",".join(["{}"] * 50_000) + "]}}}",
        '{"cursor": "", "rules": {}}',
    ],
    ids=["fields", "columns", "scopes", "no modules", "modules", "no list"],
)
def test_work_grows_with_the_size_alone(text: str) -> None:
    assert report(text).format


def test_reading_pauses_now_and_then() -> None:
    pauses: list[int] = []
    read(big_csv(100).encode(), pause=lambda: pauses.append(1))
    assert len(pauses) == 5


def test_every_finding_of_a_line_has_a_line_of_the_file() -> None:
    text = "\n".join(
        f'{{"rule_type": "X", "policy": "ALLOWLIST", "identifier": "{TEAM}{SHA}"}},' for _ in range(50)
    )
    found = report('{"rules": [\n' + text.rstrip(",") + "\n]}")
    assert [one.place.line for one in found.mistakes] == list(range(2, 52))
