"""What each format means, beyond the files of `fixtures`."""

import io
import json
import plistlib
import zipfile

import pytest

from santaserver.importers.model import Report
from tests.importers.helpers import CDHASH, OTHER, SHA, TEAM, codes, only, report, rules

ALLOWED = {"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": TEAM}
BLOCKED = ALLOWED | {"policy": "BLOCKLIST"}


def pack(*entries: object, **more: object) -> str:
    return json.dumps({"rules": entries, **more}, indent=1)


def moroz(*rules: dict[str, str]) -> str:
    parts = [
        "[[rules]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in rule.items())
        for rule in rules
    ]
    return "\n".join(parts)


def test_the_same_rule_twice_is_a_warning_and_another_a_mistake_that_names_both() -> None:
    found = report(pack(ALLOWED, ALLOWED | {"identifier": f" {TEAM.lower()}"}))
    assert (len(found.rules), found.outcome) == (1, "ok")
    assert "duplicate" in codes(found.warnings)
    found = report(pack(ALLOWED, BLOCKED))
    assert only(found.mistakes).code == "conflict"
    assert "Line 3" in only(found.mistakes).message
    assert "line 8" in only(found.mistakes).message


@pytest.mark.parametrize("text", [pack(ALLOWED, BLOCKED), moroz(ALLOWED, BLOCKED)])
def test_the_last_rule_wins_where_macs_did_that_and_only_when_asked(text: str) -> None:
    found = report(text, last_wins=True)
    assert rules(found) == [("global", "TEAMID", TEAM, "BLOCKLIST")]
    assert [(one.code, one.entry) for one in found.skipped] == [("superseded", 1)]
    assert codes(report(text).mistakes) == ["conflict"]


def test_a_removal_and_a_rule_for_one_target_conflict() -> None:
    assert codes(report(pack(ALLOWED, ALLOWED | {"policy": "REMOVE"})).mistakes) == ["conflict"]


def test_messages_of_allow_rules_become_comments_when_asked() -> None:
    rule = ALLOWED | {"custom_msg": "Google", "comment": "since 2020"}
    found = report(
        pack(rule, rule | {"identifier": "ABCDE12345", "policy": "BLOCKLIST"}), message_to_comment=True
    )
    assert [(one.custom_msg, one.comment) for one in found.rules] == [
        ("", "since 2020\nGoogle"),
        ("Google", "since 2020"),
    ]


def test_moroz_reads_inline_tables_and_keys_in_any_case() -> None:
    text = (
        f'batch_size = 5 # "rules" [\nRules = [\n  {{ Rule_Type = "TEAMID", Policy = "ALLOWLIST", '
        f'Identifier = "{TEAM}", custom_msg = "a, b = {{c}} #" }},\n'
        f'  {{ rule_type = "BINARY", policy = "NOPE", identifier = "{SHA}" }}, # end\n]\n'
    )
    found = report(text)
    assert found.format == "moroz"
    assert [(one.place.line, one.custom_msg) for one in found.rules] == [(3, "a, b = {c} #")]
    wrong = only(found.mistakes)
    assert (wrong.code, wrong.place.line, wrong.place.column) == ("unknown_policy", 4, 27)


def test_the_name_of_a_moroz_file_can_be_a_machine() -> None:
    machine = "2C0B7F5E-0D8B-5E1C-9C1A-6B4C0E5A9F10"
    assert rules(report(moroz(ALLOWED), file_name=f"conf/{machine}.toml"))[0][0] == f"machine:{machine}"
    assert rules(report(moroz(ALLOWED), file_name="global.toml"))[0][0] == "global"
    found = report(moroz(ALLOWED), file_name="backup.toml")
    assert (rules(found)[0][0], codes(found.warnings)) == ("global", ["file_name"])
    assert rules(report(moroz(ALLOWED), file_name=f"{machine}.toml", layer="tag:a"))[0][0] == "tag:a"


def zentral(**scope: object) -> Report:
    return report(json.dumps({"name": "a", "configurations": ["b"], "rules": [ALLOWED | scope]}))


def test_scopes_of_zentral_are_layers_and_masks() -> None:
    found = zentral(primary_users=["a@b.c"], serial_numbers=["S1"], excluded_serial_numbers=["S2"])
    assert [(layer, policy) for layer, _, _, policy in rules(found)] == [
        ("user:a@b.c", "ALLOWLIST"),
        ("serial:S1", "ALLOWLIST"),
        ("serial:S2", "NONE"),
    ]
    assert codes(found.warnings) == []
    assert codes(zentral(excluded_tags=["x"]).warnings) == []
    assert codes(zentral(tags=["y"], excluded_tags=["x"]).warnings) == ["mask_order"]
    assert codes(zentral(serial_numbers=["S1"], excluded_tags=["x"]).warnings) == ["mask_order"]
    assert [one[3] for one in rules(zentral(tags=["y"], excluded_tags=["Y"]))] == ["NONE"]


def test_zentral_s_list_needs_a_configuration_and_names_of_tags() -> None:
    one = {"target_type": "TEAMID", "target_identifier": TEAM, "policy": 1, "configuration": 1, "tags": [3]}
    two = one | {"configuration": 2, "policy": 2}
    text = json.dumps([one, two])
    found = report(text)
    assert sorted(codes(found.mistakes)) == ["choose_configuration", "scope_unresolved", "scope_unresolved"]
    assert [(one.id, one.rules) for one in found.configurations] == [("1", 1), ("2", 1)]
    found = report(text, configuration="2", tag_names={"3": "Lab"})
    assert rules(found) == [("tag:Lab", "TEAMID", TEAM, "BLOCKLIST")]
    assert codes(report(text, configuration="9", tag_names={"3": "Lab"}).mistakes) == ["choose_configuration"]
    wrong = report(json.dumps([one | {"policy": 7, "tags": []}]))
    assert only(wrong.mistakes).code == "unknown_policy"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"next": None, "previous": "x"}, "previous"),
        ({"count": 3, "next": None}, "count"),
        ({"next": "x"}, "next"),
    ],
)
def test_a_page_is_not_the_whole_list(more: dict[str, object], field: str) -> None:
    rule = {"target_type": "TEAMID", "target_identifier": TEAM, "policy": 1, "configuration": 1}
    found = report(json.dumps({**more, "results": [rule]}))
    assert (only(found.mistakes).code, only(found.mistakes).field) == ("incomplete_page", field)


TERRAFORM = """
# note
resource "nps_workshop_rule" "a" { // note
  identifier = "%s" /* a
  b */
  rule_type = "BINARY"
  policy    = "BLOCKLIST"
  comment   = "a \\"b\\" \\u00e9 $${x} %%%%{y} 100%%%% $5 \\\\"
  custom_msg = <<EOT
  one $${a}
    two
EOT
  lifecycle { prevent_destroy = true }
}
data "nps_workshop_rule" "b" { identifier = "x" }
"""


def test_terraform_s_texts_are_read_with_escapes_and_heredocs() -> None:
    found = report(TERRAFORM % SHA)
    assert codes(found.mistakes) == []
    (rule,) = found.rules
    assert rule.comment == 'a "b" é ${x} %{y} 100%% $5 \\'
    assert rule.custom_msg == "one ${a}\n    two"
    assert (rule.place.line, codes(found.warnings)) == (3, [])


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("identifier = local.x", "identifier"),
        ('identifier = upper("x")', "identifier"),
        ('identifier = "${var.x}"', "identifier"),
        ('identifier = a ? "b" : "c"', "identifier"),
        ('tag = var.x\nidentifier = "EQHXZ8M8AV"', "tag"),
        ("count = 2", "count"),
        ("identifier = [for x in y : {\n a = x\n}]", "identifier"),
        ("identifier = <<E\n${x}\nE", "identifier"),
    ],
)
def test_what_only_terraform_can_compute_is_refused(line: str, field: str) -> None:
    text = f'resource "nps_workshop_rule" "a" {{\n rule_type = "TEAMID"\n policy = "BLOCKLIST"\n{line}\n}}\n'
    wrong = only(report(text).mistakes)
    assert (wrong.code, wrong.field) == ("unresolved_reference", field)
    assert "terraform show -json" in wrong.message


def test_what_terraform_shows_of_a_state_is_read() -> None:
    rule = {
        "mode": "managed",
        "type": "nps_workshop_rule",
        "name": "a",
        "values": ALLOWED | {"tag": "x", "comment": None},
    }
    data = rule | {"mode": "data"}
    module = {"resources": [rule], "child_modules": [{"resources": [data, rule | {"values": BLOCKED}]}]}
    found = report(json.dumps({"format_version": "1.0", "values": {"root_module": module}}))
    assert rules(found) == [("tag:x", "TEAMID", TEAM, "ALLOWLIST"), ("global", "TEAMID", TEAM, "BLOCKLIST")]


def archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return out.getvalue()


def test_an_archive_of_terraform_is_read_as_one() -> None:
    rule = (
        'resource "zentral_santa_rule" "rule1" {\n'
        " configuration_id = zentral_santa_configuration.configuration1.id\n policy = 2\n"
        f' target_type = "TEAMID"\n target_identifier = "{TEAM}"\n tag_ids = [zentral_tag.tag1.id]\n}}'
    )
    files = {
        "provider.tf": 'provider "zentral" {}',
        "terraform_import.zsh": "x",
        "santa_configurations.tf": rule,
    }
    found = report(archive(files))
    assert (only(found.mistakes).code, only(found.mistakes).place.file) == (
        "scope_unresolved",
        "santa_configurations.tf",
    )
    found = report(archive(files | {"tags.tf": 'resource "zentral_tag" "tag1" {\n name = "Lab"\n}'}))
    assert rules(found) == [("tag:Lab", "TEAMID", TEAM, "BLOCKLIST")]


def test_archives_of_other_files() -> None:
    assert rules(report(archive({"a.toml": moroz(ALLOWED), "__MACOSX/._a.toml": "x"}))) == [
        ("global", "TEAMID", TEAM, "ALLOWLIST")
    ]
    assert "2 files" in only(report(archive({"a.toml": "x", "b.toml": "y"})).mistakes).message
    assert "CSV" in only(report(archive({"xl/workbook.xml": "x"})).mistakes).message
    bomb = only(report(archive({"a.tf": " " * (13 * 1024 * 1024)})).mistakes)
    assert bomb.code == "too_large"


def test_packs_of_hand_made_rules() -> None:
    found = report(
        pack(
            {"_section": "Browsers"},
            ALLOWED | {"_enabled": "false"},
            ALLOWED | {"_enabled": "true", "_note": "x"},
            ALLOWED | {"_enabled": "maybe", "identifier": "ABCDE12345"},
            {"rule_type": "BINARY", "policy": "Seatbelt", "identifier": "x"},
            {"rule_type": "BINARY", "policy": "ALLOWLIST_TRANSITIVE", "identifier": SHA},
            "text",
            {},
        )
    )
    assert len(found.rules) == 1
    assert codes(found.skipped) == ["comment_entry", "disabled", "needs_v2", "transitive"]
    assert sorted(codes(found.mistakes)) == ["bad_value", "bad_value", *["missing_field"] * 3]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"policy": "CEL"}, "cel_missing"),
        ({"cel_expr": "true"}, "cel_unexpected"),
        ({"policy": "ALLOWLIST_COMPILER"}, "compiler_type"),
        ({"sha256": "ABCDE12345"}, "ambiguous_identifier"),
        ({"policy": "Unknown"}, "unknown_policy"),
        ({"policy": 1}, "bad_value"),
        ({"Policy": "BLOCKLIST"}, "bad_value"),
        ({"comment": ["x"]}, "bad_value"),
    ],
)
def test_mistakes_of_a_rule(rule: dict[str, object], code: str) -> None:
    assert only(report(pack(ALLOWED | rule)).mistakes).code == code


def test_a_key_twice_in_an_entry_is_a_mistake() -> None:
    text = '{"rules": [\n{"policy": "ALLOWLIST",\n"policy": "BLOCKLIST", '
    text += '"rule_type": "TEAMID", "identifier": "EQHXZ8M8AV"}]}'
    assert only(report(text).mistakes).code == "bad_value"


def profile(content: object) -> dict[str, object]:
    payload = {"PayloadType": "com.northpolesec.santa", "PayloadContent": content, "PayloadUUID": "x"}
    return {"PayloadContent": [{"PayloadType": "com.apple.wifi", "Rules": [{"x": 1}]}, payload]}


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_rules_are_found_wherever_they_are_in_a_profile(form: plistlib.PlistFormat) -> None:
    for inner in (
        {"StaticRules": [ALLOWED]},
        {"Rules": [ALLOWED]},
        {"a": {"b": [{"StaticRules": [ALLOWED]}]}},
    ):
        found = report(plistlib.dumps(profile(inner), fmt=form))
        assert rules(found) == [("global", "TEAMID", TEAM, "ALLOWLIST")], inner
    nested = plistlib.dumps({"StaticRules": [BLOCKED]}, fmt=form)
    found = report(plistlib.dumps(profile({"Data": nested}), fmt=form))
    assert rules(found) == [("global", "TEAMID", TEAM, "BLOCKLIST")]


def ber(tag: int, content: bytes, *, indefinite: bool = False) -> bytes:
    if indefinite:
        return bytes([tag, 0x80]) + content + b"\0\0"
    size = len(content)
    head = bytes([size]) if size < 0x80 else bytes([0x84]) + size.to_bytes(4)
    return bytes([tag]) + head + content


def signed(content: bytes, *, indefinite: bool) -> bytes:
    """A message as `openssl cms -sign` writes it, with `-stream` in parts of no given length."""
    parts = [ber(0x04, content[at : at + 50]) for at in range(0, len(content), 50)]
    octets = ber(0x24, b"".join(parts), indefinite=True) if indefinite else ber(0x04, content)
    data = bytes.fromhex("06092a864886f70d010701")
    inner = ber(0x30, data + ber(0xA0, octets, indefinite=indefinite), indefinite=indefinite)
    body = ber(0x02, b"\x01") + ber(0x31, b"") + inner + ber(0x31, b"")
    oid = bytes.fromhex("06092a864886f70d010702")
    explicit = ber(0xA0, ber(0x30, body, indefinite=indefinite), indefinite=indefinite)
    return ber(0x30, oid + explicit, indefinite=indefinite)


@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_signed_profiles_are_unwrapped(form: plistlib.PlistFormat, indefinite: bool) -> None:
    content = plistlib.dumps(profile({"StaticRules": [ALLOWED]}), fmt=form)
    for data in (content, signed(content, indefinite=indefinite)):
        found = report(signed(data, indefinite=indefinite))
        assert codes(found.mistakes) == []
        assert rules(found) == [("global", "TEAMID", TEAM, "ALLOWLIST")]
        assert "signature_not_checked" in codes(found.warnings)


def test_an_encrypted_or_detached_message_is_refused_in_words() -> None:
    message = signed(b"x" * 200, indefinite=False)
    encrypted = message.replace(bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d010703"))
    assert "encrypted" in only(report(encrypted).mistakes).message


@pytest.mark.parametrize(("number", "word"), [("1", "BINARY"), ("1000", "BINARY")])
def test_rows_of_the_database_in_json_and_csv(number: str, word: str) -> None:
    rows = [{"shasum": SHA, "state": "2", "type": number, "customurl": "", "timestamp": "1"}]
    assert rules(report(json.dumps(rows))) == [("global", word, SHA, "BLOCKLIST")]
    assert rules(report(f"shasum,state,type\n{SHA},2,{number}\n")) == [("global", word, SHA, "BLOCKLIST")]
    assert rules(report(f"identifier;state;type\n{CDHASH};13;500\n")) == [
        ("global", "CDHASH", CDHASH, "SILENT_TTY_BLOCKLIST")
    ]


def test_contour_skips_file_access_and_refuses_paths() -> None:
    text = "- rule_type: TEAM_ID\n  identifier: /usr/bin/x\n  policy: ALLOWLIST\n"
    text += "- faa_path: /x\n  rule_type: BINARY\n"
    text += f"- rule_type: BINARY\n  identifier: {OTHER}\n  policy: BLOCKLIST\n  labels: []\n"
    found = report(text)
    assert found.format == "contour"
    assert (codes(found.mistakes), codes(found.skipped)) == (["bad_identifier"], ["file_access"])
    assert rules(found) == [("global", "BINARY", OTHER, "BLOCKLIST")]
    assert report(json.dumps([ALLOWED | {"labels": ["a"]}])).format == "contour"


def test_the_latest_row_of_upvote_counts_in_any_order_and_scope() -> None:
    header = "sha256,timestamp,scope,policy,target_type,device_id,user,comment\n"
    rows = [
        f"{SHA},2020-01-02 00:00:00 UTC,LOCAL,BLACKLIST,BINARY,,jane,",
        f"{SHA},2020-01-01 00:00:00 UTC,LOCAL,WHITELIST,BINARY,,jane,",
        f"{SHA},2020-01-01 00:00:00 UTC,LOCAL,WHITELIST,BINARY,,,",
        f"{SHA},soon,GLOBAL,WHITELIST,BINARY,,,",
    ]
    found = report(header + "\n".join(rows))
    assert rules(found) == [("user:jane", "BINARY", SHA, "BLOCKLIST")]
    assert codes(found.mistakes) == ["scope_unresolved", "bad_value"]
    assert [(one.code, one.entry) for one in found.skipped] == [("superseded", 2)]
