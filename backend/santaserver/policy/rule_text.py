"""Rules in the form sent to Macs, and sets of them. Pure; algorithm E, step 3."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from santaserver import sizes
from santaserver.policy.capabilities import REMOVE, Capabilities
from santaserver.policy.states import RuleCounts
from santaserver.policy.targets import MASK
from santaserver.protocol.messages import RuleMessage

Key = tuple[str, str]
"""A target: (rule type, identifier)."""


class Reworded(bytes):
    """A rule encoded for one family, not shared by all sets."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RuleText:
    """One version of a rule in the form sent to Macs: JSON that is encoded once and shared by all sets."""

    key: Key
    policy: str
    needs_level: int
    """Below it the rule cannot be sent at all."""
    text: bytes
    """The JSON for a client with all capabilities; empty for a mask."""
    grants_compiler: bool
    """Whether programs that this one writes may run: those permissions outlive the rule on the Mac."""

    def at(self, client: Capabilities) -> bytes | None:
        """Return what such a client is sent, None when it can have no such rule."""
        policy = client.policy(self.key[0], self.policy, self.needs_level)
        if policy is None:
            return None
        word = client.rule_types[self.key[0]]
        return self.text if (policy, word) == (self.policy, self.key[0]) else self._reworded(policy, word)

    def grants(self, client: Capabilities) -> bool:
        """Tell whether on such a client programs that this one writes may run."""
        sent = client.policy(self.key[0], self.policy, self.needs_level)
        return self.grants_compiler and sent == self.policy

    def _reworded(self, policy: str, rule_type: str) -> bytes:
        rule = msgspec.json.decode(self.text, type=RuleMessage)
        return Reworded(
            msgspec.json.encode(msgspec.structs.replace(rule, policy=policy, rule_type=rule_type))
        )


@dataclass(frozen=True, slots=True)
class RuleContent:
    """One version of a rule as it is stored."""

    rule_type: str
    identifier: str
    policy: str
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    needs_level: int
    grants_compiler: bool


def rule_text(content: RuleContent) -> RuleText:
    """Encode a version."""
    key = (sys.intern(content.rule_type), content.identifier)
    if content.policy == MASK:
        return RuleText(key, MASK, 0, b"", False)
    response = RuleMessage(
        identifier=content.identifier,
        policy=content.policy,
        rule_type=content.rule_type,
        custom_msg=content.custom_msg,
        custom_url=content.custom_url,
        cel_expr=content.cel_expr or "",
    )
    text = msgspec.json.encode(response)
    return RuleText(key, sys.intern(content.policy), content.needs_level, text, content.grants_compiler)


def removal(key: Key) -> bytes:
    """Encode the removal of a target's rule."""
    return msgspec.json.encode(RuleMessage(identifier=key[1], policy=REMOVE, rule_type=key[0]))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything a machine in one state has, ordered by target; two lists of equal length."""

    keys: Sequence[Key]
    texts: Sequence[bytes]
    own: int = 0
    """Bytes of texts that no other set uses."""

    def by_key(self) -> dict[Key, bytes]:
        """Return it for comparing."""
        return dict(zip(self.keys, self.texts, strict=True))

    def counts(self) -> RuleCounts:
        """Count the rows of a table that has exactly these rules."""
        types = [rule_type for rule_type, _ in self.keys]
        return RuleCounts(
            binary=types.count("BINARY"),
            certificate=types.count("CERTIFICATE"),
            teamid=types.count("TEAMID"),
            signingid=types.count("SIGNINGID"),
            cdhash=types.count("CDHASH"),
        )


def rule_set(rules: Mapping[Key, bytes]) -> RuleSet:
    """Order rules by target."""
    keys = sorted(rules)
    own = sum(sizes.TEXT + len(text) for text in rules.values() if type(text) is Reworded)
    return RuleSet(keys, [rules[key] for key in keys], own)


def changes(keys: Iterable[Key], target: Mapping[Key, bytes]) -> list[bytes]:
    """Encode a normal sync: for each target the rule in force, or its removal."""
    return [target.get(key) or removal(key) for key in sorted(keys)]


def differing_keys(before: Mapping[Key, bytes], after: Mapping[Key, bytes]) -> set[Key]:
    """Return the targets whose rule is not the same in two sets."""
    return {key for key, _ in before.items() ^ after.items()}
