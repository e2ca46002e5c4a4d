"""JSON in the canonical form of RFC 8785: equal values have equal bytes.

Strings, whole numbers, booleans, null, lists and objects only. Other numbers are refused, since their text is
that of JavaScript; nothing in this program needs them.
"""

import json
from collections.abc import Mapping

MAX_SAFE = 2**53 - 1
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def canonical(value: object) -> str:
    """Return the text of a value; raise `TypeError` when it has none.

    What PostgreSQL cannot store in JSON (NUL, unpaired surrogates) becomes U+FFFD.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(_storable(value), ensure_ascii=False)
    if isinstance(value, int):
        # Beyond that, readers of JSON would see another number.
        return str(int(value)) if abs(value) <= MAX_SAFE else f'"{int(value)}"'
    if isinstance(value, Mapping):
        members = {_storable(name): member for name, member in value.items()}
        ordered = sorted(members, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(members[name])}" for name in ordered) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _storable(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", REPLACEMENT)
