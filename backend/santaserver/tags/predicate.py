"""Predicates of tags: CEL expressions over what a machine reports of itself.

The same language implementation as for rules; loaded with the first predicate.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

from santaserver.models import Machine

log = logging.getLogger(__name__)

COMPILED = 1000
"""Compiled predicates that are kept."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The variables of a predicate."""

    machine_id: str
    serial: str
    hostname: str
    model: str
    os_version: str
    os_build: str
    santa_version: str
    primary_user: str
    groups: Sequence[str]
    client_mode: str
    sip_enabled: bool

    @classmethod
    def of(cls, row: Machine) -> Self:
        """Return what a stored machine reported last."""
        return cls(
            machine_id=row.machine_id,
            serial=row.serial,
            hostname=row.hostname,
            model=row.model,
            os_version=row.os_version,
            os_build=row.os_build,
            santa_version=row.santa_version,
            primary_user=row.primary_user,
            groups=row.primary_user_groups,
            client_mode=row.client_mode,
            sip_enabled=row.sip_status == 0,
        )


class PredicateError(Exception):
    """The expression is no predicate; the message says where and why."""


def check_predicate(expression: str) -> None:
    """Raise `PredicateError` unless the expression answers true or false about a machine."""
    try:
        kind = _compiled(expression).return_type().name()
    except RuntimeError as error:
        raise PredicateError(_first_line(error)) from error
    if kind != "BOOL":
        raise PredicateError(f"the result is {kind.lower()}; it has to be true or false")


def holds(expression: str, facts: MachineFacts) -> bool:
    """Tell whether a machine is a member; one that the expression fails for is none."""
    try:
        result = _compiled(expression).eval(data=asdict(facts)).value()
    except RuntimeError as error:
        log.warning("the predicate %r cannot be used: %s", expression, _first_line(error))
        return False
    if not isinstance(result, bool):
        log.debug("the predicate %r fails for %s: %s", expression, facts.machine_id, result)
        return False
    return result


@lru_cache(COMPILED)
def _compiled(expression: str) -> Any:  # noqa: ANN401 - the library has no types
    return _environment().compile(expression)


@lru_cache(1)
def _environment() -> Any:  # noqa: ANN401 - the library has no types
    from cel_expr_python import cel  # noqa: PLC0415 - loaded with the first predicate
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    kinds = cel.Type
    special = {"groups": kinds.List(kinds.STRING), "sip_enabled": kinds.BOOL}
    variables = {name: special.get(name, kinds.STRING) for name in MachineFacts.__dataclass_fields__}
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])


def _first_line(error: RuntimeError) -> str:
    line = str(error).partition("\n")[0] or "it cannot be compiled"
    return line.removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ").replace("<input>:", "at ")
