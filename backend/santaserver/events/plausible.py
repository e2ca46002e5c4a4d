"""Checks what a Mac reports: fixed sets of values, formats of identifiers, lengths, times. Pure.

Invalid data is stored as "other", truncated, or dropped and counted, so that a Mac cannot fill the database.
Values of newer agents keep their prefix: a block stays a block.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from santaserver.events.oddities import Oddity, count
from santaserver.events.wire import Certificate, Execution, FileAccess, Process

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC).timestamp()
"""Santa is not older than this; an earlier time comes from a wrong clock."""
CLOCK_AHEAD = timedelta(days=1)
"""A Mac whose clock is further ahead gets the time of arrival instead."""

MAX_TEXT = 4096
MAX_NAME = 500
MAX_ITEMS = 64
"""Entries of a list that are kept: users, sessions, entitlements."""
MAX_PROCESSES = 16
MAX_CHAIN = 10
"""Certificates that are kept of a program or process; a signature has three."""
MAX_ENTITLEMENTS = 64 * 1024
"""Characters of all entitlements of a program together."""

SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
CDHASH = re.compile(r"[0-9a-f]{40}").fullmatch
TEAM_ID = re.compile(r"[A-Z0-9]{10}").fullmatch


class Words:
    """A fixed set of values: those of a protobuf enum, and "other" for everything else."""

    def __init__(self, enum: Any, absent: str) -> None:  # noqa: ANN401 - one of protobuf's enum types
        """Know the words of an enum; `absent` stands for none."""
        self._numbers: dict[int, str] = {number: name for name, number in enum.items()}
        self._names = frozenset(self._numbers.values())
        self._absent = absent

    def word(self, value: str | int) -> str:
        """Return the word to store."""
        if isinstance(value, int):
            return self._numbers.get(value) or self._other("")
        if value in self._names:
            return value
        if not value:
            return self._absent
        return self._other(value.partition("_")[0])

    @staticmethod
    def _other(beginning: str) -> str:
        count(Oddity.WORD_UNKNOWN)
        return f"{beginning}_OTHER" if beginning in {"ALLOW", "BLOCK"} else "OTHER"


def latest(now: datetime) -> float:
    """Return the epoch seconds after which no event can have happened."""
    return (now + CLOCK_AHEAD).timestamp()


def moment(seconds: float, last: float) -> datetime | None:
    """Return the time of an event, `last` being what `latest` says; None when the Mac's clock is wrong."""
    if not EARLIEST < seconds < last:
        if seconds:
            count(Oddity.TIME_IMPLAUSIBLE)
        return None
    return datetime.fromtimestamp(seconds, UTC)


def identify(event: Execution) -> None:
    """Drop identifiers of a program that are none."""
    dropped = 0

    def fitting(text: str, fits: Callable[[str], object]) -> str:
        nonlocal dropped
        if not text or fits(text):
            return text
        dropped += 1
        return ""

    event.cdhash = fitting(event.cdhash.lower(), CDHASH)
    event.team_id = fitting(event.team_id, TEAM_ID)
    event.signing_id = fitting(event.signing_id, _is_signing_id)
    chain = usable_chain(event.signing_chain)
    dropped += len(event.signing_chain) - len(chain)
    event.signing_chain = chain
    if dropped:
        count(Oddity.IDENTIFIER_MALFORMED, dropped)


def usable_chain(chain: list[Certificate]) -> list[Certificate]:
    """Return the certificates that can be told apart, their texts cut."""
    usable = []
    for cert in chain[:MAX_CHAIN]:
        cert.sha256 = cert.sha256.lower()
        if SHA256(cert.sha256):
            cert.cn, cert.org, cert.ou = cert.cn[:MAX_NAME], cert.org[:MAX_NAME], cert.ou[:MAX_NAME]
            usable.append(cert)
    return usable


def entitlements(event: Execution) -> dict[str, str] | None:
    """Return the entitlements by name, each as the JSON text that the client sent."""
    info = event.entitlement_info
    kept: dict[str, str] = {}
    size = 0
    for item in info.entitlements[:MAX_ITEMS] if info else ():
        size += len(item.key[:MAX_NAME]) + len(item.value[:MAX_TEXT])
        if size > MAX_ENTITLEMENTS:
            count(Oddity.LIST_CLIPPED)
            break
        kept[item.key[:MAX_NAME]] = item.value[:MAX_TEXT]
    return kept or None


def processes(event: FileAccess) -> list[Process]:
    """Return the first processes of a chain, their texts cut."""
    kept = event.process_chain[:MAX_PROCESSES]
    if len(event.process_chain) > MAX_PROCESSES:
        count(Oddity.LIST_CLIPPED)
    for process in kept:
        process.file_path = process.file_path[:MAX_TEXT]
        process.signing_id = process.signing_id[:MAX_NAME]
        process.file_sha256 = _if(SHA256, process.file_sha256.lower())
        process.cdhash = _if(CDHASH, process.cdhash.lower())
        process.team_id = _if(TEAM_ID, process.team_id)
        process.signing_chain = usable_chain(process.signing_chain[:MAX_CHAIN])
    return kept


def quarantine(event: Execution) -> dict[str, Any] | None:
    """Return where a downloaded file came from, when the Mac knows."""
    known = {
        "data_url": event.quarantine_data_url[:MAX_TEXT],
        "referer_url": event.quarantine_referer_url[:MAX_TEXT],
        "timestamp": event.quarantine_timestamp,
        "agent_bundle_id": event.quarantine_agent_bundle_id[:MAX_NAME],
    }
    return {name: value for name, value in known.items() if value} or None


def _is_signing_id(text: str) -> bool:
    return len(text) <= MAX_NAME and text.isprintable() and text == text.strip()


def _if(fits: Callable[[str], object], text: str) -> str:
    return text if fits(text) else ""
