"""Passes live messages between processes by LISTEN/NOTIFY; what cannot be passed on is said to be missing.

One notification a second at most: NOTIFY holds a lock of the whole database through its commit. Each has
a number, and is kept until PostgreSQL has confirmed it; after an outage it is sent again. Whoever hears a
gap, was away itself, or hears nothing more of another process has its browsers load again.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from santaserver.db import Database
from santaserver.live.bus import Bus
from santaserver.live.outgoing import Letters, Outgoing, payloads
from santaserver.live.senders import Senders
from santaserver.outbox import Message
from santaserver.postgres.failures import describe, is_outage

log = logging.getLogger(__name__)

CHANNEL = "santaserver_live"
GATHER = 0.1
"""Seconds that messages are collected after a quiet time."""
EVERY = 1.0
"""Seconds between two notifications."""
FIRST_RETRY = 0.1
RETRY = 2.0
"""Seconds between two tries, after the first few."""
PROBE = 5.0
"""Seconds after which an idle line is used, so that a dead one is noticed, and the others know of us."""
NOTIFY_TIMEOUT = 5.0
"""Seconds for a notification to be confirmed and to come back to its sender."""
CLOSE_TIMEOUT = 2.0


class Relay:
    """One connection that listens and notifies for one process."""

    def __init__(self, database: Database, bus: Bus) -> None:
        """Prepare; `run` connects."""
        self._database = database
        self._bus = bus
        self._origin = bus.process
        self._outgoing = Outgoing()
        self._letters = Letters(self._origin)
        self._senders = Senders()
        self._wake = asyncio.Event()
        self._lost = asyncio.Event()
        """Set when the connection ends."""
        self._retry = FIRST_RETRY
        self._heard_ourselves = asyncio.Event()
        self._heard_number = 0
        self._deaf_before = False
        bus.forward = self._enqueue

    async def run(self) -> None:
        """Relay until canceled, reconnecting after every outage."""
        while True:
            self._lost.clear()
            try:
                connection = await self._database.connect_directly()
                try:
                    connection.add_termination_listener(self._ended)
                    await connection.add_listener(CHANNEL, self._heard)
                    self._senders.forget()
                    self._bus.lag()  # nobody knows what was told before this moment
                    self._bus.linked = True
                    await self._send_forever(connection)
                except asyncio.CancelledError:
                    await self._say_goodbye(connection)
                    raise
                finally:
                    connection.terminate()  # an orderly close of a dead connection would hide a cancellation
            except Exception as error:
                if not is_outage(error) and not isinstance(error, TimeoutError):
                    log.exception(
                        "live relay failed; browsers on other workers miss messages until it reconnects"
                    )
                log.debug("live relay lost its connection: %s", describe(error))
            await asyncio.sleep(self._retry)
            self._retry = min(2 * self._retry, RETRY)

    async def _send_forever(self, connection: asyncpg.Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._send(connection)
            self._retry = FIRST_RETRY
            sent_at = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE):
                    await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(GATHER, sent_at + EVERY - loop.time())):
                    await self._lost.wait()
            self._wake.clear()
            if self._senders.gone(loop.time()):
                self._bus.lag()

    async def _send(self, connection: asyncpg.Connection) -> None:
        """Notify of all that waits, or that we are here; return when it has come back to us."""
        self._letters.write(payloads(self._outgoing.take()) or ([] if self._letters.unsent() else ["[]"]))
        unsent = self._letters.unsent()
        await connection.execute(
            "select pg_notify($1, letter) from unnest($2::text[]) letter",
            CHANNEL,
            unsent,
            timeout=NOTIFY_TIMEOUT,
        )
        self._letters.sent(len(unsent))
        try:
            async with asyncio.timeout(NOTIFY_TIMEOUT):
                while self._heard_number < self._letters.number:
                    if self._lost.is_set():
                        raise ConnectionResetError("the connection ended")
                    self._heard_ourselves.clear()
                    await self._heard_ourselves.wait()
        except TimeoutError:
            if not self._deaf_before:
                log.warning(
                    "PostgreSQL notifications do not arrive: pages of other workers reload every few "
                    "seconds. If DATABASE_URL leads to a pooler in transaction mode, set DATABASE_DIRECT_URL"
                )
            self._deaf_before = True
            raise
        self._deaf_before = False

    async def _say_goodbye(self, connection: asyncpg.Connection) -> None:
        """Tell what still waits, and that there will be nothing more."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._send(connection)
                bye = json.dumps({"from": self._origin, "bye": True})
                await connection.execute("select pg_notify($1, $2)", CHANNEL, bye)

    def _enqueue(self, messages: Sequence[Message]) -> None:
        self._outgoing.add(messages)
        self._wake.set()

    def _ended(self, _connection: object) -> None:
        for event in (self._lost, self._wake, self._heard_ourselves):
            event.set()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        letter = json.loads(str(payload))
        origin = letter["from"]
        if letter.get("bye"):
            self._senders.goodbye(origin)
            return
        if origin == self._origin:
            self._heard_number = letter["n"]
            self._heard_ourselves.set()
            return
        new, missing = self._senders.hear(origin, letter["n"], asyncio.get_running_loop().time())
        if new and (missing or letter["messages"] is None):
            self._bus.lag()
        if new and letter["messages"]:
            self._bus.deliver(letter["messages"])
