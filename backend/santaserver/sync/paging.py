"""Cuts pages out of a session's rules, so that each session's number of rules is its own. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice

from santaserver.policy.rule_text import removal

PAGE_SIZE = 1000
"""Rules in a page: about 125 kB of JSON."""


@dataclass(frozen=True, slots=True)
class RulesPage:
    """JSON of the rules on one page; `following` is the offset of the next one, None on the last."""

    rules: Sequence[bytes]
    following: int | None
    total: int
    """Rules in all pages."""


def page_of(rules: Sequence[bytes], offset: int, *, recent: Sequence[int]) -> RulesPage:
    """Cut a page out of a session's rules; the last one carries what makes the session's count its own.

    A postflight names no session. A late one of an earlier sync may arrive when this sync's last page has
    been served, and must not confirm it. So a sync's number of rules differs from those of earlier syncs, and
    from the count of a client that lost a page (a multiple of the page size). Removals of rules that never
    existed adjust the number. A sync without rules needs one in any case: a clean one would change nothing
    without any, and one with new settings would have the number of every idle sync.
    """
    fillers = _fillers(len(rules), recent)
    following = offset + PAGE_SIZE
    if following < len(rules):
        return RulesPage(rules[offset:following], following, len(rules) + fillers)
    last = [*rules[offset:], *islice(map(tombstone, count()), fillers)]
    return RulesPage(last, None, len(rules) + fillers)


def _fillers(number: int, recent: Sequence[int]) -> int:
    wanted = max(number, 1)
    while wanted in recent or wanted % PAGE_SIZE == 0:
        wanted += 1
    return wanted - number


def tombstone(number: int) -> bytes:
    """Encode the removal of a rule that never existed."""
    return removal(("BINARY", hashlib.sha256(f"SantaServer: no rule {number}".encode()).hexdigest()))
