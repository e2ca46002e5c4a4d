"""Masks secrets in log lines. `logs` passes every line through here.

It masks secret settings, what follows `/e/` in a path (an enrollment secret), credentials in headers and
addresses, input repeated by validation errors, and tokens that look like those of this server. santa-proxy
has the same rules for paths.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

MASK = "***"
SHORTEST_VALUE = 6
"""A shorter one would mask ordinary words."""
SHORTEST_TOKEN = 24

_MARKER = r"(?:e|%(?:25)*[46]5)"
_MARKED = re.compile(rf"(/{_MARKER}(?:;[^/\s]*)?/+)[^/\s\"'<>?]+", re.IGNORECASE)
_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^:/\s@]*:)[^\s\"']*@", re.IGNORECASE)
_HEADER = re.compile(r"\b(bearer|basic)\s+[^\s\"',]+", re.IGNORECASE)
_REPEATED = (
    re.compile(r"(\binput_value=).*?(?=, input_type=)", re.DOTALL),
    re.compile(r"((?P<quote>['\"])input(?P=quote): ).*"),
)
"""How pydantic and FastAPI write what did not pass a check."""
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{SHORTEST_TOKEN},}}")
_KINDS = (re.compile("[0-9]"), re.compile("[a-z]"), re.compile("[A-Z]"))


class Redactor:
    """Masks secrets in text; knows the values that must never be shown."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take the secrets of the settings; short ones are left to the other rules."""
        self._values: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Mask these as well from now on."""
        self._values |= {value for value in values if len(value) >= SHORTEST_VALUE}
        known = sorted(self._values, key=len, reverse=True)
        either = "|".join(re.escape(value) for value in known)
        self._known = re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])") if known else None

    def __call__(self, text: str) -> str:
        """Return the text with every secret masked."""
        if self._known:
            text = self._known.sub(MASK, text)
        text = _ADDRESS.sub(rf"\1{MASK}@", text)
        text = _MARKED.sub(rf"\1{MASK}", text)
        text = _HEADER.sub(rf"\1 {MASK}", text)
        for repeated in _REPEATED:
            text = repeated.sub(rf"\1{MASK}", text)
        return _TOKEN.sub(_token, text)


def _token(found: re.Match[str]) -> str:
    """Mask a token of all kinds of characters; names of functions and identifiers of Macs are none."""
    token = found[0]
    return MASK if all(kind.search(token) for kind in _KINDS) else token


def of_address(url: str) -> set[str]:
    """Return the password of an address as it is written, as it is meant, and its parts.

    Readers of an address that is not well formed quote such parts in what they complain about.
    """
    found = re.search(r"://[^:/@]*:(.*)@", url, re.DOTALL)
    if found is None:
        return set()
    password = found[1]
    return {password, unquote(password), *re.split(r"[/?#@:]", password)}
