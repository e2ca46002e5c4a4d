"""`GET /metrics`: this worker's numbers as Prometheus text.

Only santa-proxy scrapes it, on the private socket; it adds each worker's address as a label and serves the
numbers on the admin listener.
"""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from santaserver.audit_log.delivery import DELIVERIES
from santaserver.db import FAILURES
from santaserver.events import measured as events
from santaserver.instruments import Counter, Family, Histogram
from santaserver.live.subscriber import LOST
from santaserver.metrics.readings import READINGS
from santaserver.oidc.audit_entries import PROVIDER_REFUSED
from santaserver.state import AppState
from santaserver.sync import measured as sync
from santaserver.users import measured as users

INSTRUMENTS: tuple[Counter | Histogram, ...] = (
    *sync.INSTRUMENTS,
    *events.INSTRUMENTS,
    *users.INSTRUMENTS,
    PROVIDER_REFUSED,
    FAILURES,
    LOST,
    DELIVERIES,
)
"""What is counted as it happens."""


async def metrics(request: Request) -> Response:
    """Return this worker's metrics."""
    state: AppState = request.app.state.santa
    return PlainTextResponse("\n".join(render(state)) + "\n", media_type="text/plain; version=0.0.4")


def render(state: AppState) -> Iterator[str]:
    """Return the lines."""
    for instrument in INSTRUMENTS:
        yield from instrument.lines()
    for reading in READINGS:
        yield from reading.lines(state)


def families() -> list[Family]:
    """Return all families, by name."""
    every = [one.family for one in (*INSTRUMENTS, *READINGS)]
    return sorted(every, key=lambda family: family.name)


def routes() -> list[BaseRoute]:
    """Return the route."""
    return [Route("/metrics", metrics)]
