"""Which passwords are refused: short ones, common ones, and those made of the user's own words. Pure.

NIST SP 800-63B-4: length and a list of common passwords; no rule about kinds of characters, no regular
change.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

from santaserver.errors import wrong_field

SHORTEST = 15
"""Characters of a password that is all there is to a login."""
FEWEST_DISTINCT = 5
OWN_WORDS = ("santaserver", "santa", "administrator", "admin")
SHORTEST_WORD = 4
"""A shorter own word is in too many good passwords."""
LEFT = 8
"""Characters that have to be left of a password without common and own words, digits and punctuation."""
LIST = Path(__file__).with_name("common_passwords.txt")

COMMON = "This is one of the most common passwords, or one with a few characters added"
OWN = "The password consists of the user name or other words that are easy to guess"
SIMPLE = "The password repeats itself, or is a sequence such as 1234 or abcd"


def check_password_rules(
    field: str, password: str, own_words: Iterable[str], shortest: int = SHORTEST
) -> None:
    """Raise a problem with a field of a request when its password is not good enough."""
    found = weakness(password, own_words, shortest)
    if found is not None:
        raise wrong_field(field, found)


def weakness(password: str, own_words: Iterable[str], shortest: int = SHORTEST) -> str | None:
    """Return why a password is refused; None when it is not."""
    if len(password) < shortest:
        return f"The password needs at least {shortest} characters"
    plain = unicodedata.normalize("NFKC", password).casefold()
    letters = "".join(char for char in plain if char.isalpha())
    if len(set(plain)) < FEWEST_DISTINCT or _repeats(plain) or _is_sequence(plain):
        return SIMPLE
    if {plain, letters, plain.rstrip("0123456789!?.")} & _common():
        return COMMON
    rest = letters
    for word in sorted({*_parts(own_words), *OWN_WORDS}, key=len, reverse=True):
        rest = rest.replace(word, "")
    if rest != letters and len(rest) < LEFT:
        return OWN
    return None


def _parts(words: Iterable[str]) -> Iterable[str]:
    """Return the letters of words, also of the parts of an address such as ada@example.com."""
    for word in words:
        plain = unicodedata.normalize("NFKC", word).casefold()
        for part in plain.replace("@", " ").replace(".", " ").split():
            letters = "".join(char for char in part if char.isalpha())
            if len(letters) >= SHORTEST_WORD:
                yield letters


def _repeats(text: str) -> bool:
    """Tell whether a text is one part several times, the last time perhaps not in full."""
    return any(
        text == (text[:size] * (len(text) // size + 1))[: len(text)] for size in range(1, len(text) // 2 + 1)
    )


def _is_sequence(text: str) -> bool:
    """Tell whether most characters follow from the one before."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    return sum(step in {-1, 0, 1} for step in steps) > len(steps) * 2 // 3


@cache
def _common() -> frozenset[str]:
    return frozenset(LIST.read_text(encoding="utf-8").split())
