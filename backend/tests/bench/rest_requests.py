"""The CPU time that a REST request costs the backend, in this process, without an HTTP server.

`python -m tests.bench.rest_requests` prints the smallest and the median time of each kind of request, in
microseconds. PostgreSQL's own time is not in it. The database holds a hundred rules, two tags and a Mac.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope

from santaserver.accounts import create_admin, create_enrollment
from santaserver.main import create_app
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from tests.conftest import ADMIN, SECRET
from tests.support.postgres import Cluster
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

ROUNDS = 60
WARM_UP = 5
RULES = 100
MAC = "M1"


class Client:
    """Sends requests to the application, and records the cost of each kind."""

    def __init__(self, app: ASGIApp, cookie: str) -> None:
        """Begin with nothing."""
        self._app = app
        self._cookie = cookie
        self.spent: dict[str, list[float]] = {}

    async def send(self, kind: str, path: str, body: object = None) -> bytes:
        """Send one request; `kind` begins with its method."""
        raw = b"" if body is None else json.dumps(body).encode()
        said: list[Message] = []
        received: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Message:
            return received.pop() if received else await asyncio.Future[Message]()

        async def send(message: Message) -> None:
            said.append(message)

        began = time.thread_time()
        await self._app(self._scope(kind.split(maxsplit=1)[0], path, len(raw)), receive, send)
        self.spent.setdefault(kind, []).append(time.thread_time() - began)
        response: bytes = b"".join(message.get("body", b"") for message in said)
        assert said[0]["status"] < httpx.codes.MULTIPLE_CHOICES, (kind, response)
        return response

    def _scope(self, method: str, path: str, length: int) -> Scope:
        plain, _, query = path.partition("?")
        fields = {
            "host": "testserver",
            "content-type": "application/json",
            "content-length": str(length),
            "cookie": self._cookie,
            "origin": "http://testserver",
            "sec-fetch-site": "same-origin",
            "if-match": "*",
        }
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "scheme": "http",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }


@asynccontextmanager
async def application(dsn: str) -> AsyncIterator[ASGIApp]:
    """Start the application."""
    app = create_app(load({"DATABASE_URL": dsn, "PUBLIC_URL": "http://testserver"}))
    async with app.router.lifespan_context(app):
        yield app


def filled(dsn: str) -> tuple[str, int, int]:
    """Put something into the database; return an administrator's cookie, a rule and a tag."""
    asyncio.run(migrate(dsn))
    settings = load({"DATABASE_URL": dsn})
    asyncio.run(create_admin(settings, *ADMIN))
    asyncio.run(create_enrollment(settings, "benchmark", secret=SECRET))
    with RunningServer(dsn, as_owner=True) as server, server.client() as admin:
        admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        tags = [admin.post("/api/v1/tags", json={"name": name}).json()["id"] for name in "ab"]
        rules = [admin.post("/api/v1/rules", json=rule(number)).json()["id"] for number in range(RULES)]
        for removed in rules[: RULES // 2]:
            admin.delete(f"/api/v1/rules/{removed}")
        mac = SimulatedMac(server.url, machine_id=MAC, serial="S1", secret=SECRET)
        mac.sync()
        mac.close()
        cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
        return cookie, rules[-1], tags[0]


def rule(number: int) -> dict[str, Any]:
    """Return the number-th rule."""
    return {"rule_type": "BINARY", "identifier": f"{number:064x}", "policy": "BLOCKLIST"}


async def read(client: Client, rule_id: int, tag: int) -> None:
    """Send each request that reads."""
    for path in (
        f"rules/{rule_id}",
        "rules",
        "rules/removed",
        "layers",
        "layers/members?layer=tag:a",
        "settings",
        "settings/layer?layer=tag:a",
        "tags",
        f"tags/{tag}",
        "machines",
        f"machines/{MAC}",
        f"explain/settings?machine_id={MAC}",
        "enrollments",
        "overview",
    ):
        await client.send(f"GET {path}", f"/api/v1/{path}")


async def write(client: Client, number: int, tag: int) -> None:
    """Send each request that changes something."""
    # A rule that allows: to remove one that blocks would ask first.
    allowing = rule(10**6 + number) | {"policy": "ALLOWLIST"}
    made = json.loads(await client.send("POST rules", "/api/v1/rules", allowing))["id"]
    await client.send("PATCH rules/ID", f"/api/v1/rules/{made}", {"comment": str(number)})
    await client.send("DELETE rules/ID", f"/api/v1/rules/{made}")
    await client.send("PATCH settings", "/api/v1/settings", {"batch_size": 20 + number % 20})
    await client.send("PATCH tags/ID", f"/api/v1/tags/{tag}", {"description": str(number)})


async def measure(
    dsn: str, cookie: str, rule_id: int, tag: int, rounds: int = WARM_UP + ROUNDS
) -> dict[str, list[float]]:
    """Return what each kind of request cost, without the first ones."""
    async with application(dsn) as app:
        client = Client(app, cookie)
        for number in range(rounds):
            await read(client, rule_id, tag)
            await write(client, number, tag)
    return {kind: spent[WARM_UP:] for kind, spent in client.spent.items()}


def main(dsn: str) -> None:
    """Measure and print."""
    for kind, spent in asyncio.run(measure(dsn, *filled(dsn))).items():
        best, median = min(spent) * 1e6, statistics.median(spent) * 1e6
        sys.stdout.write(f"{kind:34} {best:6.0f} {median:6.0f} µs\n")


if __name__ == "__main__":
    cluster = Cluster()
    try:
        main(cluster.dsn(cluster.create()))
    finally:
        cluster.stop()
