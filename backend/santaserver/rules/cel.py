"""Checks CEL expressions as Santa does: same language implementation, same variables, type-checked.

A Mac skips a rule whose expression does not compile and still counts it as processed, so nothing
invalid may be stored. The library is loaded with the first CEL rule; it takes 25 MB.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from santaserver.cel_cost import Bound, cost
from santaserver.policy.capabilities import Level

RESULTS = ("ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST", "SILENT_BLOCKLIST")
LATER_RESULTS = ("SILENT_GUI_BLOCKLIST", "SILENT_TTY_BLOCKLIST")
COMPILER_RESULT = "ALLOWLIST_COMPILER"
VERDICT = "santa.Verdict"

TARGET_FIELDS: tuple[tuple[str, str, Level], ...] = (
    ("signing_time", "timestamp", Level.CEL),
    ("secure_signing_time", "timestamp", Level.CEL),
    ("signing_id", "string", Level.CEL_SIGNING_ID),
    ("team_id", "string", Level.CEL_PATH),
    ("is_platform_binary", "bool", Level.CEL_PATH),
)
MAX_COST = 20_000_000
"""Units of `cel_cost` for one execution of a program on a Mac: a tenth of a second there."""
TEXT = Bound(256)
SIZES = {
    "target": Bound(len(TARGET_FIELDS), TEXT),
    "args": Bound(256, TEXT),
    "envs": Bound(256, TEXT),
    "cwd": Bound(1024),
    "path": Bound(1024),
}
"""The largest values that an expression must be able to handle."""
CEL_LEVELS = tuple(level for level in Level if level is not Level.BASE)


@dataclass(frozen=True)
class CelFacts:
    """What an accepted expression needs and may do."""

    needs_level: Level
    """The oldest releases that compile it."""
    grants_compiler: bool
    """Whether it can return ALLOWLIST_COMPILER."""


class CelError(Exception):
    """The expression cannot be used; the message says where and why."""


@lru_cache(256)
def check(expression: str) -> CelFacts:
    """Return what the expression needs; raise `CelError` when no Santa release can use it."""
    newest = _error(expression, Level.SILENT_CHANNELS, compiler=True)
    if newest is not None:
        raise CelError(newest)
    level = next(level for level in CEL_LEVELS if _error(expression, level, compiler=True) is None)
    return CelFacts(level, _error(expression, Level.SILENT_CHANNELS, compiler=False) is not None)


def _error(expression: str, level: Level, *, compiler: bool) -> str | None:
    try:
        compiled = _environment(level, compiler).compile(expression)
    except RuntimeError as error:
        return _first_line(str(error))
    kind = compiled.return_type()
    if kind.name() not in {"BOOL", VERDICT}:
        return f"the result is {kind.name().lower()}; it must be true, false or one of {', '.join(RESULTS)}"
    if (spent := cost(compiled.serialize(), SIZES)) > MAX_COST:
        return (
            f"it can cost a Mac {spent / MAX_COST:.3g} times the limit of one execution: "
            "use fewer nested loops, and strings that do not grow"
        )
    return None


def _first_line(text: str) -> str:
    line = text.splitlines()[0] if text else "it cannot be compiled"
    return line.removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ").replace("<input>:", "at ")


@cache
def _environment(level: Level, compiler: bool) -> Any:  # noqa: ANN401 - the library has no types
    from cel_expr_python import cel  # noqa: PLC0415 - loaded with the first CEL rule
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    kinds = cel.Type
    verdict = kinds.AbstractType(VERDICT)
    variables = {
        "target": kinds(f"santa.level{int(level)}.Target"),
        "args": kinds.List(kinds.STRING),
        "envs": kinds.Map(kinds.STRING, kinds.STRING),
    }
    if level >= Level.CEL_PROCESS:
        variables |= {"euid": kinds.INT, "cwd": kinds.STRING}
    if level >= Level.CEL_PATH:
        variables["path"] = kinds.STRING
    results = RESULTS + (LATER_RESULTS if level >= Level.SILENT_CHANNELS else ())
    variables |= {name: verdict for name in results if compiler or name != COMPILER_RESULT}
    return cel.NewEnv(_messages(level), variables=variables, extensions=[ext_strings.ExtStrings()])


@cache
def _messages(level: Level) -> Any:  # noqa: ANN401 - a descriptor pool
    from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    numbers = {"string": field.TYPE_STRING, "bool": field.TYPE_BOOL, "timestamp": field.TYPE_MESSAGE}
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    package = f"santa.level{int(level)}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3", dependency=[timestamp.name]
    )
    target = file.message_type.add(name="Target")
    for number, (name, kind, since) in enumerate(TARGET_FIELDS, 1):
        if level >= since:
            added = target.field.add(name=name, number=number, type=numbers[kind], label=field.LABEL_OPTIONAL)
            if kind == "timestamp":
                added.type_name = ".google.protobuf.Timestamp"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(timestamp)
    pool.Add(file)
    return pool
