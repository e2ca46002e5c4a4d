"""A step of a Mac's sync in nine characters: what processes tell each other, and what is counted.

Eight are a checksum of the machine id. That is enough to see whether an open page shows the Mac: when two
Macs share one, a page reads a row again that is the same. The ninth says what the step was.
"""

from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple
from zlib import crc32

from santaserver.outbox import Message

LENGTH = 9
FIRST = ord("A")

Stage = Literal["preflight", "postflight"]
SyncKind = Literal["normal", "clean", "clean_all"]
STAGES: tuple[Stage, ...] = ("preflight", "postflight")
KINDS: tuple[SyncKind, ...] = ("normal", "clean", "clean_all")


class Step(NamedTuple):
    """What a Mac did."""

    stage: Stage
    kind: SyncKind
    changed: bool
    refused: bool


def checksum(machine_id: str) -> str:
    """Return the eight characters that stand for a Mac."""
    return f"{crc32(machine_id.encode('utf-8', 'surrogatepass')):08x}"


def mark_of(message: Message) -> str:
    """Return a message of the type `sync` as a mark."""
    code = STAGES.index(message["stage"]) * 3 + KINDS.index(message["kind"])
    code = code * 4 + message["changed"] * 2 + message["refused"]
    return checksum(message["machine_id"]) + chr(FIRST + code)


@cache
def step_of(code: str) -> Step:
    """Return what the last character of a mark says."""
    rest, refused = divmod(ord(code) - FIRST, 2)
    rest, changed = divmod(rest, 2)
    stage, kind = divmod(rest, len(KINDS))
    return Step(STAGES[stage], KINDS[kind], bool(changed), bool(refused))


def marks(text: str) -> Iterator[str]:
    """Take joined marks apart."""
    return (text[at : at + LENGTH] for at in range(0, len(text), LENGTH))
