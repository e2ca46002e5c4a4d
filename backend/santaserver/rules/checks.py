"""Checks whether a rule can be stored. Pure except for the CEL compiler; the database checks the same."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from santaserver.errors import wrong_field
from santaserver.layers.schemas import GLOBAL
from santaserver.policy.capabilities import Level
from santaserver.policy.targets import COMPILER_TYPES, Policy, RuleType
from santaserver.rules import cel


class Content(Protocol):
    """The content of a rule in a request or a file."""

    policy: Policy
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    locked: bool
    starts_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class CheckedContent:
    """A rule's content as it is stored."""

    policy: str
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    needs_level: int
    grants_compiler: bool
    locked: bool


@dataclass(frozen=True)
class Schedule:
    """When a rule is in force; None for now and forever."""

    starts_at: datetime | None
    expires_at: datetime | None


def check_content(rule_type: RuleType, content: Content) -> CheckedContent:
    """Return what to store; raise `Unprocessable` naming the wrong field."""
    expression = (content.cel_expr or "").strip()
    if content.policy == "CEL":
        if not expression:
            raise wrong_field("cel_expr", "The policy CEL needs an expression")
        facts = _check_cel(expression)
    else:
        if expression:
            raise wrong_field("cel_expr", f"An expression belongs to the policy CEL, not to {content.policy}")
        facts = cel.CelFacts(Level.BASE, content.policy == "ALLOWLIST_COMPILER")
    if facts.grants_compiler and rule_type not in COMPILER_TYPES:
        raise wrong_field(
            "policy" if content.policy != "CEL" else "cel_expr",
            f"Santa never applies ALLOWLIST_COMPILER to a {rule_type} rule: use BINARY, SIGNINGID or CDHASH",
        )
    return CheckedContent(
        policy=content.policy,
        cel_expr=expression or None,
        custom_msg=content.custom_msg,
        custom_url=content.custom_url,
        needs_level=int(facts.needs_level),
        grants_compiler=facts.grants_compiler,
        locked=content.locked,
    )


def check_layer(layer_kind: str, content: Content) -> None:
    """Raise `Unprocessable` for a rule that would mean nothing in this kind of layer."""
    if content.policy == "NONE" and layer_kind == GLOBAL:
        raise wrong_field("policy", "NONE masks rules of lower layers; below the global layer there is none")


def check_schedule(content: Content, now: datetime) -> Schedule:
    """Return the times to store; a start that has passed means now."""
    starts_at = content.starts_at if content.starts_at and content.starts_at > now else None
    if content.expires_at is not None and content.expires_at <= (starts_at or now):
        raise wrong_field("expires_at", "A rule must expire in the future and after its start")
    return Schedule(starts_at, content.expires_at)


def _check_cel(expression: str) -> cel.CelFacts:
    try:
        return cel.check(expression)
    except cel.CelError as error:
        raise wrong_field("cel_expr", f"Santa cannot use this expression: {error}") from error
