"""Passes live messages between workers by LISTEN/NOTIFY, and detects a lost connection.

Messages are collected for a moment and sent together on a connection of its own. NOTIFY carries
8,000 bytes at most: a message that does not fit travels as the hint that browsers should reload.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence

import asyncpg

from santaserver.db import Database
from santaserver.live.bus import Bus
from santaserver.outbox import Message
from santaserver.postgres.failures import describe, is_outage

log = logging.getLogger(__name__)

CHANNEL = "santaserver_live"
GATHER = 0.1
"""Seconds that messages are collected before one NOTIFY."""
MAX_PAYLOAD = 7_500
MAX_WAITING = 1_000
RETRY = 2.0
PROBE = 30.0
"""Seconds after which an idle connection is probed, so that a dead one is detected."""


class Relay:
    """One connection that listens and notifies for one process."""

    def __init__(self, database: Database, bus: Bus) -> None:
        """Prepare; `run` connects."""
        self._database = database
        self._bus = bus
        self._origin = secrets.token_hex(8)
        self._waiting: list[Message] = []
        self._wake = asyncio.Event()
        bus.forward = self._enqueue

    async def run(self) -> None:
        """Relay until canceled, reconnecting after every outage."""
        connected_before = False
        while True:
            try:
                connection = await self._database.connect()
                try:
                    await connection.add_listener(CHANNEL, self._heard)
                    if connected_before:
                        self._bus.lag()
                    connected_before = True
                    await self._send_forever(connection)
                finally:
                    connection.terminate()  # an orderly close of a dead connection would hide a cancellation
            except Exception as error:
                if not is_outage(error) and not isinstance(error, TimeoutError):
                    log.exception(
                        "live relay failed; browsers on other workers miss messages until it reconnects"
                    )
                log.debug("live relay lost its connection: %s", describe(error))
            await asyncio.sleep(RETRY)

    async def _send_forever(self, connection: asyncpg.Connection) -> None:
        while True:
            try:
                async with asyncio.timeout(PROBE):
                    await self._wake.wait()
            except TimeoutError:
                await connection.execute("select 1")
                continue
            await asyncio.sleep(GATHER)
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            for payload in payloads(self._origin, batch):
                await connection.execute("select pg_notify($1, $2)", CHANNEL, payload)

    def _enqueue(self, messages: Sequence[Message]) -> None:
        self._waiting += messages
        if len(self._waiting) > MAX_WAITING:
            self._waiting = [{"type": "lagged"}]
        self._wake.set()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        note = json.loads(str(payload))
        if note["from"] == self._origin:
            return
        if note["messages"] is None:
            self._bus.lag()
        else:
            self._bus.deliver(note["messages"])


def payloads(origin: str, messages: Sequence[Message]) -> list[str]:
    """Pack messages into as few notifications as fit; one that is too long becomes "reload"."""
    packed: list[str] = []
    head, tail = f'{{"from":"{origin}","messages":', "}"
    around = len(head) + len("[]") + len(tail)
    room: list[str] = []
    size = around
    for message in messages:
        text = json.dumps(message, separators=(",", ":"))  # ASCII, so characters are bytes
        if message["type"] == "lagged" or around + len(text) > MAX_PAYLOAD:
            return [f"{head}null{tail}"]
        if room and size + len(text) > MAX_PAYLOAD:
            packed.append(f"{head}[{','.join(room)}]{tail}")
            room, size = [], around
        room.append(text)
        size += len(text) + 1
    if room:
        packed.append(f"{head}[{','.join(room)}]{tail}")
    return packed
