"""Asks santa-supervise how the processes of this container are.

The backend sends one request, for the status, on a connection of its own. santa-supervise answers root and
its own user only.
"""

import asyncio
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

DEADLINE = 1.0
"""Seconds for everything; santa-supervise answers in less than a millisecond."""
LONGEST = 1024 * 1024
"""Bytes of an answer; a service takes about 300."""
REQUEST = b'{"op":"status"}\n'


class Service(Struct, frozen=True):
    """One instance of a service, as `santa-supervise status --json` shows it; times in seconds since 1970."""

    name: str
    instance: int
    kind: Literal["daemon", "task"]
    state: str
    why: str
    status_text: str | None
    pid: int | None
    restarts: int
    since: int
    last_exit: str | None
    critical: bool


class Supervisor(Struct, frozen=True):
    """santa-supervise itself; `since` in seconds since 1970."""

    version: str
    since: int
    shutting_down: bool
    orphans_reaped: int
    dropped_lines: int


class Answer(Struct, frozen=True):
    """The status; members that this program does not know are passed over."""

    supervisor: Supervisor
    services: list[Service]


class Refusal(Struct, frozen=True):
    """What is answered instead."""

    ok: Literal[False]
    message: str


class UnreachableError(Exception):
    """santa-supervise should be there and does not answer; the text says why and what to look at."""


async def ask(path: str) -> Answer | None:
    """Return the status; None when this process runs without santa-supervise (no `path`).

    :raises UnreachableError: it does not answer within the deadline, or not as expected.
    """
    if not path:
        return None
    try:
        async with asyncio.timeout(DEADLINE):
            line = await _exchange(path)
    except TimeoutError:
        raise UnreachableError(
            f"santa-supervise did not answer on {path} within {DEADLINE:.0f} s; is the machine overloaded?"
        ) from None
    except OSError as error:
        raise UnreachableError(
            f"santa-supervise cannot be asked on {path}: {error.strerror or error}"
        ) from None
    except ValueError:
        raise UnreachableError(f"santa-supervise answered too much on {path}") from None
    return decode(line)


async def _exchange(path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST)
    try:
        writer.write(REQUEST)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def decode(line: bytes) -> Answer:
    """Read the answer, one line of JSON.

    :raises UnreachableError: it is none; a refusal's own words are passed on.
    """
    try:
        return msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError:
        pass
    try:
        refusal = msgspec.json.decode(line, type=Refusal)
    except msgspec.DecodeError:
        raise UnreachableError(
            "santa-supervise answered something that is no status; is it of another version?"
        ) from None
    raise UnreachableError(f"santa-supervise refused: {refusal.message}")
