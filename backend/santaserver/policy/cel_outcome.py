"""What a CEL rule makes of a program whose attributes are partly known.

Santa evaluates the expression at each execution, with arguments, user and directory that nobody can know
before. When none of them matters for this program, its result is known.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache
from typing import Any

RESULTS = ("ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST", "SILENT_BLOCKLIST")
LATER_RESULTS = ("SILENT_GUI_BLOCKLIST", "SILENT_TTY_BLOCKLIST")
ALLOWING = frozenset({"ALLOWLIST", "ALLOWLIST_COMPILER"})
NUMBERS = {name: number for number, name in enumerate((*RESULTS, *LATER_RESULTS))}
REMEMBERED = 1024


class Outcome(IntEnum):
    """What happens to a program; the greater, the worse."""

    ALLOWED = 0
    UNCERTAIN = 1
    """It depends on what only the Mac knows, or on its user."""
    BLOCKED = 2


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a program; None for what is not."""

    team_id: str | None
    signing_id: str | None
    path: str | None
    is_platform: bool | None


@lru_cache(REMEMBERED)
def outcome_of(expression: str, known: Known) -> Outcome:
    """Return what a rule with this expression does with such a program."""
    facts = {
        "target.team_id": known.team_id,
        "target.signing_id": known.signing_id,
        "target.is_platform_binary": known.is_platform,
        "path": known.path,
    }
    told = {name: value for name, value in facts.items() if value is not None}
    try:
        compiled = _environment(frozenset(NUMBERS)).compile(expression)
        result = compiled.eval(data=NUMBERS | told).value()
    except RuntimeError:
        return Outcome.UNCERTAIN
    if isinstance(result, bool):
        return Outcome.ALLOWED if result else Outcome.BLOCKED
    if isinstance(result, int):
        return Outcome.ALLOWED if _name(result) in ALLOWING else Outcome.BLOCKED
    return _by_its_results(expression, str(compiled.return_type().name()))


def _by_its_results(expression: str, kind: str) -> Outcome:
    """Judge by the results that the expression has at all."""
    if kind != "INT":
        return Outcome.UNCERTAIN
    if _compiles(expression, frozenset(NUMBERS) - ALLOWING):
        return Outcome.BLOCKED
    # Not allowed for sure: an expression that fails on the Mac leaves the decision to paths and mode.
    return Outcome.UNCERTAIN


def _name(number: int) -> str:
    return next((name for name, own in NUMBERS.items() if own == number), "")


def _compiles(expression: str, results: frozenset[str]) -> bool:
    try:
        _environment(results).compile(expression)
    except RuntimeError:
        return False
    return True


@cache
def _environment(results: frozenset[str]) -> Any:  # noqa: ANN401 - the library has no types
    """Return an environment whose variables are single attributes, so that some can be left out."""
    from cel_expr_python import cel  # noqa: PLC0415 - loaded with the first CEL rule
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    kinds = cel.Type
    variables = {
        "target.signing_time": kinds.TIMESTAMP,
        "target.secure_signing_time": kinds.TIMESTAMP,
        "target.signing_id": kinds.STRING,
        "target.team_id": kinds.STRING,
        "target.is_platform_binary": kinds.BOOL,
        "args": kinds.List(kinds.STRING),
        "envs": kinds.Map(kinds.STRING, kinds.STRING),
        "euid": kinds.INT,
        "cwd": kinds.STRING,
        "path": kinds.STRING,
    }
    variables |= dict.fromkeys(results, kinds.INT)
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])
