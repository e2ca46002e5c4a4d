"""Decides whether a rule can be stored. Pure but for the CEL compiler; the database repeats the rules."""

from dataclasses import dataclass

from santaserver.errors import FieldProblem, Unprocessable
from santaserver.rules import cel
from santaserver.rules.schemas import RuleContent, RuleType
from santaserver.rules.targets import COMPILER_TYPES, FORMATS, canonical_identifier
from santaserver.sync.capabilities import Level


@dataclass(frozen=True)
class CheckedContent:
    """A rule's content as it is stored."""

    policy: str
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    needs_level: int
    grants_compiler: bool


def check_identifier(rule_type: RuleType, identifier: str) -> str:
    """Return the stored form; raise `Unprocessable` when it is no such identifier."""
    canonical = canonical_identifier(rule_type, identifier)
    if canonical is None:
        raise _wrong("identifier", f"A {rule_type} identifier is {FORMATS[rule_type][1]}")
    return canonical


def check_content(rule_type: RuleType, content: RuleContent) -> CheckedContent:
    """Return what to store; raise `Unprocessable` naming the wrong field."""
    expression = (content.cel_expr or "").strip()
    if content.policy == "CEL":
        if not expression:
            raise _wrong("cel_expr", "The policy CEL needs an expression")
        facts = _check_cel(expression)
    else:
        if expression:
            raise _wrong("cel_expr", f"An expression belongs to the policy CEL, not to {content.policy}")
        facts = cel.CelFacts(Level.BASE, content.policy == "ALLOWLIST_COMPILER")
    if facts.grants_compiler and rule_type not in COMPILER_TYPES:
        raise _wrong(
            "policy" if content.policy != "CEL" else "cel_expr",
            f"Santa never applies ALLOWLIST_COMPILER to a {rule_type} rule: use BINARY, SIGNINGID or CDHASH",
        )
    return CheckedContent(
        policy=content.policy,
        cel_expr=expression or None,
        custom_msg=_text("custom_msg", content.custom_msg),
        custom_url=_text("custom_url", content.custom_url),
        needs_level=int(facts.needs_level),
        grants_compiler=facts.grants_compiler,
    )


def check_comment(comment: str) -> str:
    """Return the comment to store."""
    return _text("comment", comment)


def _check_cel(expression: str) -> cel.CelFacts:
    try:
        return cel.check(_text("cel_expr", expression))
    except cel.CelError as error:
        raise _wrong("cel_expr", f"Santa would not accept this expression: {error}") from error


def _text(field: str, text: str) -> str:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise _wrong(field, "The text contains characters that cannot be stored")
    return text


def _wrong(field: str, message: str) -> Unprocessable:
    return Unprocessable(message, errors=(FieldProblem(field=field, message=message),))
