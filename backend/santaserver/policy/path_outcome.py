"""Whether a path pattern of the settings matches a path. Pure.

Santa's patterns are ICU's; what is common to them and RE2 is matched by RE2, in linear time. Python's own
matcher takes the rest, when it cannot take long.
"""

import re
from functools import cache, lru_cache
from typing import Any

REMEMBERED = 4096
MAX_PATH = 300
MAX_REPETITIONS = 3
_REPEATED_GROUP = re.compile(r"\)[*+?{]")


@lru_cache(REMEMBERED)
def matches(pattern: str, path: str) -> bool | None:
    """Tell whether the pattern matches; None when that cannot be told here."""
    # As after a restart of Santa's daemon, which prepends ^.
    anchored = pattern if pattern.startswith("^") else f"^{pattern}"
    found = _by_re2(anchored, path)
    return _by_python(anchored, path) if found is None else found


def _by_re2(pattern: str, path: str) -> bool | None:
    try:
        result = _matcher().eval(data={"path": path, "pattern": pattern}).value()
    except RuntimeError:
        return None
    return result if isinstance(result, bool) else None


def _by_python(pattern: str, path: str) -> bool | None:
    repetitions = sum(pattern.count(sign) for sign in "*+{")
    if repetitions > MAX_REPETITIONS or _REPEATED_GROUP.search(pattern) or len(path) > MAX_PATH:
        return None
    try:
        return re.search(pattern, path) is not None
    except re.error:
        return None


@cache
def _matcher() -> Any:  # noqa: ANN401 - the library has no types
    from cel_expr_python import cel  # noqa: PLC0415 - loaded with the first pattern

    kinds = cel.Type
    return cel.NewEnv(variables={"path": kinds.STRING, "pattern": kinds.STRING}).compile(
        "path.matches(pattern)"
    )
