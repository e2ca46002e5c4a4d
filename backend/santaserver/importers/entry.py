"""Turns an entry of a file into a rule without a layer, and reports everything that is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from santaserver.importers import identifiers
from santaserver.importers.dialect import DROPPED_KEYS, SILENT_KEYS, WHY_DROPPED, Dialect
from santaserver.importers.model import REMOVE, ImportedRule, Report
from santaserver.importers.record import Number, Record, Unresolved, kind_of
from santaserver.importers.words import (
    SKIPPED_POLICIES,
    SKIPPED_TYPES,
    WHY_SKIPPED,
    Word,
    policy_word,
    type_word,
)
from santaserver.policy.targets import COMPILER_TYPES, RuleType

TEXTS = ("custom_msg", "custom_url", "comment", "cel_expr")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
SHOWN = 100
"""Characters of a wrong value that a message repeats."""
MAX_FIELDS = 100
"""Of an entry: places of fields are looked for one by one."""
ENABLED = "_enabled"
TERRAFORM_ADVICE = "Only Terraform can compute this; import the output of `terraform show -json` instead"


@dataclass(frozen=True, slots=True)
class _Written:
    """A value and the key that it has in the file."""

    key: str
    value: object


def read_entry(record: Record, dialect: Dialect, report: Report) -> ImportedRule | None:
    """Return the rule, in the global layer; None for an entry that is skipped or wrong."""
    report.turn()
    if len(record.fields) > MAX_FIELDS:
        message = f"This has {len(record.fields)} fields; a rule has fewer"
        report.mistake("bad_value", message, record.place, record.entry)
        return None
    return _Entry(record, dialect, report).rule()


def truth(value: object) -> bool | None:
    """Read a boolean, also one that is written as a text; None when it is none."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
        str(value).strip().lower()
    )


class _Entry:
    def __init__(self, record: Record, dialect: Dialect, report: Report) -> None:
        self._record = record
        self._dialect = dialect
        self._report = report
        self._parts: dict[str, list[_Written]] = {}
        self._compared: set[str] = set()
        """Parts whose differing values were reported."""
        self._wrong = False

    def rule(self) -> ImportedRule | None:
        fields = self._record.fields
        if fields and all(key.startswith("_") for key in fields):
            self._report.skip("comment_entry", "A note, not a rule", self._record.place, self._record.entry)
            return None
        if self._is_disabled():
            return None
        self._sort_fields()
        policy, rule_type = self._policy(), self._rule_type()
        if self._is_skipped(policy, rule_type):
            return None
        identifier = self._identifier(rule_type)
        texts = {name: self._text(name) for name in TEXTS}
        if policy is not None and rule_type is not None:
            self._check_together(policy, rule_type, texts["cel_expr"])
        if self._wrong or policy is None or rule_type is None or identifier is None:
            return None
        if policy == REMOVE:
            texts = {}
        return ImportedRule(
            self._record.entry, self._record.place, "global", rule_type, identifier, policy, **texts
        )

    def _is_disabled(self) -> bool:
        value = next((value for key, value in self._record.fields.items() if key.lower() == ENABLED), True)
        enabled = truth(value)
        if enabled is None:
            self._mistake("bad_value", f"{ENABLED} is true or false, not {_shown(value)}", ENABLED)
        elif not enabled:
            message = f"{ENABLED} is false"
            self._report.skip("disabled", message, self._record.place, self._record.entry)
        return enabled is False

    def _sort_fields(self) -> None:
        """Give every field of the file to the part of the rule that it is, or report it."""
        seen: set[str] = set()
        for name in self._record.repeated:
            self._mistake("bad_value", f"{name!r} is there twice", name)
        for key, value in self._record.fields.items():
            lower = key.strip().lower()
            if lower in seen:
                self._mistake("bad_value", f"{lower!r} is there twice, in different case", key)
                continue
            seen.add(lower)
            part = self._dialect.keys.get(lower)
            if part is None:
                self._other_field(key, lower, value)
                continue
            self._parts.setdefault(part, []).append(_Written(key, value))
            if lower in self._dialect.legacy and not _is_empty(value):
                current = self._dialect.name_of(part)
                self._warn("legacy_key", f"{key!r} is today called {current!r}", key)

    def _other_field(self, key: str, lower: str, value: object) -> None:
        if lower in SILENT_KEYS or lower in self._dialect.other or lower == ENABLED:
            return
        if lower in self._dialect.foreign:
            self._warn("unknown_key", f"{key!r} is {self._dialect.foreign[lower]}; it is not read", key)
        elif lower in DROPPED_KEYS or lower.startswith(("file_bundle_", "_")):
            if value not in (None, "", False, [], {}):
                why = WHY_DROPPED.get(lower, f"{key!r} has no counterpart here and is left out")
                self._warn("dropped_field", why, key)
        else:
            self._warn("unknown_key", f"There is no field {key[:SHOWN]!r} in a rule; it is left out", key)

    def _policy(self) -> str | None:
        word = self._word("policy", self._dialect.policies, "unknown_policy")
        return None if word is None else word.meaning

    def _rule_type(self) -> RuleType | None:
        written = self._only("rule_type")
        if self._dialect.cdhash_unknown and written is not None and str(written.value).lower() == "unknown":
            return self._unknown_type(written)
        word = self._word("rule_type", self._dialect.types, "unknown_rule_type")
        return None if word is None else cast("RuleType", word.meaning)

    def _unknown_type(self, written: _Written) -> RuleType | None:
        """Santa exports CDHASH rules with this word."""
        found = self._only("identifier")
        text = found.value if found is not None and isinstance(found.value, str) else ""
        if identifiers.canonical("CDHASH", text) is None:
            message = "Santa exports only code directory hashes as Unknown, and this identifier is none"
            self._mistake("unknown_rule_type", message, written.key)
            return None
        self._warn("type_inferred", "Unknown with 40 hexadecimal digits is a CDHASH rule", written.key)
        return "CDHASH"

    def _word(self, part: str, numbers: Mapping[str, str], code: str) -> Word | None:
        """Read a policy or a rule type."""
        written = self._only(part)
        if written is None:
            name = self._dialect.name_of(part)
            hint = next(
                (
                    f"; {key!r} is {what}"
                    for key, what in self._dialect.foreign.items()
                    if what.startswith(part) and any(key == one.lower() for one in self._record.fields)
                ),
                "",
            )
            self._mistake("missing_field", f"There is no {name}{hint}", name)
            return None
        value = written.value
        text = str(value).strip()
        if numbers and not isinstance(value, bool) and text in numbers:
            return Word(numbers[text])
        if not isinstance(value, str) or (isinstance(value, Number) and not numbers):
            self._bad_value(written, "a word")
            return None
        if text in self._dialect.skips:
            return Word(text)
        word = (policy_word if part == "policy" else type_word)(text)
        if word is None:
            what = "policy" if part == "policy" else "rule type"
            self._mistake(code, f"There is no {what} {_shown(text)}", written.key)
        elif word.note == "case":
            self._warn("case", f"{_shown(text)} is written {word.meaning}", written.key)
        elif word.note:
            self._warn("legacy_word", f"{_shown(text)} is today called {word.meaning}", written.key)
        return word

    def _is_skipped(self, policy: str | None, rule_type: str | None) -> bool:
        for word in (rule_type, policy):
            code = word and (
                self._dialect.skips.get(word) or SKIPPED_POLICIES.get(word) or SKIPPED_TYPES.get(word)
            )
            if code:
                message = f"{word}: {WHY_SKIPPED[code]}"
                self._report.skip(code, message, self._record.place, self._record.entry)
                return True
        return False

    def _identifier(self, rule_type: RuleType | None) -> str | None:
        written = [one for one in self._parts.get("identifier", ()) if not _is_empty(one.value)]
        if not written:
            self._mistake("missing_field", "There is no identifier", self._dialect.name_of("identifier"))
            return None
        texts = [self._as_text(one, "a text in quotes") for one in written]
        if rule_type is None or None in texts:
            return None
        found = [identifiers.canonical(rule_type, text or "") for text in texts]
        if len(set(found)) > 1 or (len(texts) > 1 and None in found and len(set(texts)) > 1):
            names = " and ".join(one.key for one in written)
            legacy = [one.key for one in written if one.key.lower() in self._dialect.legacy]
            key = (legacy or [written[-1].key])[0]
            self._mistake("ambiguous_identifier", f"{names} differ; keep the right one", key)
            return None
        if found[0] is None:
            self._mistake("bad_identifier", identifiers.problem(rule_type, texts[0] or ""), written[0].key)
            return None
        if found[0] != texts[0]:
            self._warn("identifier_form", f"It is stored as {found[0]}", written[0].key)
        if identifiers.is_placeholder(rule_type, found[0]):
            message = f"{found[0]} is a possible identifier, but hardly meant"
            self._warn("placeholder", message, written[0].key)
        return found[0]

    def _text(self, part: str) -> str:
        """Read an optional text."""
        written = self._only(part)
        return "" if written is None else (self._as_text(written, "a text") or "").strip()

    def _only(self, part: str) -> _Written | None:
        """Return the value of a part that has one name at a time."""
        found = [one for one in self._parts.get(part, ()) if not _is_empty(one.value)]
        if (
            len(found) > 1
            and part not in {"identifier", *self._compared}
            and found[0].value != found[1].value
        ):
            names = " and ".join(one.key for one in found)
            self._compared.add(part)
            self._mistake("bad_value", f"{names} differ; keep the right one", found[1].key)
        return found[0] if found else None

    def _as_text(self, written: _Written, wanted: str) -> str | None:
        value = written.value
        if not isinstance(value, str) or isinstance(value, Number):
            self._bad_value(written, wanted)
            return None
        if UNSTORABLE.search(value):
            self._mistake("bad_value", "The text has characters that cannot be stored", written.key)
            return None
        return value

    def _bad_value(self, written: _Written, wanted: str) -> None:
        value = written.value
        if isinstance(value, Unresolved):
            message = f"{value.text[:SHOWN]}: {TERRAFORM_ADVICE}"
            self._mistake("unresolved_reference", message, written.key)
            return
        why = "; a number means another thing in every tool" if wanted == "a word" else ""
        what = f"This is {kind_of(value)}, {_shown(value)}, where {wanted} is needed{why}"
        self._mistake("bad_value", what, written.key)

    def _check_together(self, policy: str, rule_type: RuleType, expression: str) -> None:
        name = next((one.key for one in self._parts.get("cel_expr", ())), self._dialect.name_of("cel_expr"))
        written = any(not _is_empty(one.value) for one in self._parts.get("cel_expr", ()))
        if policy == "CEL" and not written:
            lost = f". {self._dialect.cel_lost}" if self._dialect.cel_lost else ""
            self._mistake("cel_missing", f"The policy CEL needs an expression{lost}", name)
        if policy != "CEL" and expression:
            message = f"An expression belongs to the policy CEL, not to {policy}"
            self._mistake("cel_unexpected", message, name)
        if policy == "ALLOWLIST_COMPILER" and rule_type not in COMPILER_TYPES:
            policy_key = next(one.key for one in self._parts["policy"])
            message = (
                f"Santa never applies a compiler policy to a {rule_type} rule: "
                "use BINARY, SIGNINGID or CDHASH"
            )
            self._mistake("compiler_type", message, policy_key)

    def _mistake(self, code: str, message: str, key: str) -> None:
        self._wrong = True
        self._report.mistake(code, message, self._record.at(key), self._record.entry, key.strip().lower())

    def _warn(self, code: str, message: str, key: str) -> None:
        self._report.warn(code, message, self._record.at(key), self._record.entry, key.strip().lower())


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text[:SHOWN]) if isinstance(value, str) and not isinstance(value, Number) else text[:SHOWN]
