"""The load: requests at a steady rate, administrators who write, Macs that sync, open pages."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from tests.soak.ledger import Content, Ledger
from tests.soak.outcomes import CUT, DISTURBED, SLOW, Problem
from tests.soak.system import System
from tests.support.clients import Clients
from tests.support.counting import Counting
from tests.support.rest_client import RestClient
from tests.support.santa_client import SimulatedMac, SyncError
from tests.support.sockets import NO_TLS

TIMEOUT = 30.0
"""Seconds that every client waits for a response."""
PAUSE = 0.02
RULES = 12
"""Rules of each writer."""
POLICIES = ("ALLOWLIST", "BLOCKLIST", "SILENT_BLOCKLIST")
REFUSALS = {404, 409, 412}
"""What a write is answered with when an earlier one, of which nobody knew, was done after all."""


def on_new_connections() -> httpx.HTTPTransport:
    """Return a transport that keeps no connection, so that none is closed while it is idle."""
    return httpx.HTTPTransport(verify=NO_TLS, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass
class Journal:
    """What all clients saw."""

    problems: list[Problem] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of the responses since the last idle point that came while nothing was wrong."""
    answered: int = 0
    fault: str = ""
    """What is going wrong now."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, client: str, request: str, begun: float, kind: str = "", detail: str = "") -> None:
        """Note what became of a request; without a `kind`, it was answered as it should be."""
        ended = time.monotonic()
        with self._lock:
            self.answered += not kind
            if not kind and not self.fault:
                self.seconds.append(ended - begun)
            if not kind and ended - begun > DISTURBED:
                kind = SLOW
            if kind:
                self.problems.append(Problem(client, request, begun, ended, kind, detail))

    def last_problem(self) -> float:
        """Return the end of the last one."""
        with self._lock:
            return max((problem.ended for problem in self.problems), default=0.0)


class Probe(Counting):
    """Requests at a steady rate, on new connections or on kept ones."""

    def __init__(self, address: str, kept: bool, journal: Journal) -> None:
        """Prepare two clients."""
        super().__init__(address, kept, clients=2, pause=PAUSE)
        self._journal = journal

    def note(self, request: str, begun: float, problem: str) -> None:
        """Pass it on."""
        kind = problem if not problem or problem.isdigit() else CUT
        client = "a client on a kept connection" if self._kept else "a client on new connections"
        self._journal.note(client, request, begun, kind, "" if problem == kind else problem)


@dataclass
class Writer:
    """An administrator who changes rules of everybody, and remembers what was acknowledged."""

    system: System
    journal: Journal
    number: int
    chance: Random
    ledger: Ledger = field(default_factory=Ledger)
    written: int = 0
    client: RestClient = field(init=False)

    def __post_init__(self) -> None:
        """Log in."""
        headers = {"Origin": self.system.url}
        self.client = RestClient(
            base_url=self.system.url, headers=headers, timeout=TIMEOUT, transport=on_new_connections()
        )
        account = {"username": self.system.username, "password": self.system.password}
        self.client.post("/api/v1/auth/login", json=account).raise_for_status()

    def identifier(self, place: int) -> str:
        """Return the identifier of one of its rules."""
        return f"50a4{self.number:04x}{place:056x}"

    def write(self) -> None:
        """Create, change or delete one rule."""
        identifier = self.identifier(self.chance.randrange(RULES))
        found = self.ask("GET", "/api/v1/rules", params={"q": identifier})
        if found is None or found.status_code != httpx.codes.OK:
            return
        number = next((one["id"] for one in found.json()["items"] if one["identifier"] == identifier), None)
        content: Content = None
        if number is None or self.chance.random() < 0.7:
            self.written += 1
            content = (self.chance.choice(POLICIES), f"write {self.number}.{self.written}")
        unsure = len(self.ledger.may_be(identifier)) > 1
        response = self._send(identifier, number, content)
        if response is None or response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.ledger.was_cut(identifier, content)
        elif response.is_success:
            self.ledger.was_acknowledged(identifier, content)
        elif not (unsure and response.status_code in REFUSALS):
            now = time.monotonic()
            self.journal.note(
                "an administrator", f"write {identifier[-4:]}", now, str(response.status_code), response.text
            )

    def _send(self, identifier: str, number: int | None, content: Content) -> httpx.Response | None:
        if content is None:
            return self.ask("DELETE", f"/api/v1/rules/{number}")
        body = {"policy": content[0], "custom_msg": content[1]}
        if number is not None:
            return self.ask("PATCH", f"/api/v1/rules/{number}", json=body)
        new = {**body, "layer": "global", "rule_type": "BINARY", "identifier": identifier}
        return self.ask("POST", "/api/v1/rules", json=new)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response | None:  # noqa: ANN401 - of httpx
        """Send a request; None when nothing came back."""
        begun = time.monotonic()
        try:
            response = self.client.request(method, path, **options)
        except httpx.HTTPError as error:
            self.journal.note("an administrator", f"{method} {path}", begun, CUT, repr(error))
            return None
        bad = response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        bad |= response.status_code == httpx.codes.UNAUTHORIZED
        kind = str(response.status_code) if bad else ""
        self.journal.note("an administrator", f"{method} {path}", begun, kind, response.text if bad else "")
        return response

    def rules(self) -> dict[str, Content]:
        """Return all of its rules that there are."""
        prefix = f"50a4{self.number:04x}"
        response = self.client.get(
            "/api/v1/rules", params={"layer": "global", "rule_type": "BINARY", "limit": "500"}
        )
        items = response.raise_for_status().json()["items"]
        return {
            one["identifier"]: (one["policy"], one["custom_msg"])
            for one in items
            if one["identifier"].startswith(prefix)
        }


@dataclass
class Machine:
    """A Mac, and which of its executions the server has acknowledged."""

    mac: SimulatedMac
    journal: Journal
    made: int = 0
    accepted: set[int] = field(default_factory=set)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    syncs: int = 0

    def sync(self) -> None:
        """Report an execution, again if it was not acknowledged before, and sync."""
        self.made += 1
        event = {
            "file_sha256": f"{self.made % 50:064x}",
            "file_name": "program",
            "execution_time": time.time(),
            "decision": "BLOCK_UNKNOWN" if self.made % 5 == 0 else "ALLOW_UNKNOWN",
            "pid": self.made,
        }
        self.waiting.append(event)
        begun = time.monotonic()
        try:
            self.mac.post("eventupload", {"machine_id": self.mac.machine_id, "events": self.waiting})
            self.accepted |= {one["pid"] for one in self.waiting}
            self.waiting = []
            self.mac.sync()
        except SyncError as error:
            self.journal.note("a Mac", "a sync", begun, str(error.status), str(error))
        except httpx.HTTPError as error:
            self.journal.note("a Mac", "a sync", begun, CUT, repr(error))
        else:
            self.syncs += 1


class Turns(Clients):
    """A thread for each of some who do one thing again and again."""

    def __init__(self, turns: list[Any], pause: float) -> None:
        """Prepare them; `turns` are the things to do."""
        super().__init__(len(turns))
        self._turns = iter(turns)
        self._pause = pause

    def _run(self) -> None:
        turn = next(self._turns)
        while not self._stop.wait(self._pause):
            turn()


class Pages(Clients):
    """Open pages of the console; each opens its WebSocket again when that was closed."""

    def __init__(self, system: System, cookie: str, journal: Journal, number: int) -> None:
        """Prepare so many."""
        super().__init__(number)
        self._address = system.url.replace("http", "ws", 1) + "/api/v1/live"
        self._headers = {"Cookie": cookie, "Origin": system.url}
        self._journal = journal
        self.heard = itertools.count()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            begun = time.monotonic()
            try:
                self._listen(begun)
            except ConnectionClosed:
                continue
            except InvalidStatus as error:
                self._journal.note("a page", "WebSocket", begun, str(error.response.status_code))
            except (OSError, TimeoutError, WebSocketException) as error:
                self._journal.note("a page", "WebSocket", begun, CUT, repr(error))

    def _listen(self, begun: float) -> None:
        with connect(
            self._address, additional_headers=self._headers, compression=None, open_timeout=TIMEOUT
        ) as page:
            assert json.loads(page.recv(timeout=TIMEOUT))["type"] == "hello"
            self._journal.note("a page", "WebSocket", begun)
            while not self._stop.is_set():
                try:
                    page.recv(timeout=0.5)
                except TimeoutError:
                    continue
                next(self.heard)


@contextmanager
def load(
    system: System, journal: Journal, writers: list[Writer], machines: list[Machine], pages: int
) -> Iterator[None]:
    """Have all of them at work."""
    session = writers[0].client.cookies["santa_session"]
    with (
        Probe(system.address, True, journal),
        Probe(system.address, False, journal),
        Turns([writer.write for writer in writers], 0.1),
        Turns([machine.sync for machine in machines], 0.4),
        Pages(system, f"santa_session={session}", journal, pages),
    ):
        yield
