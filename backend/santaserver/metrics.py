"""`GET /metrics`: this worker's numbers as Prometheus text.

Only santa-proxy scrapes it, on the private socket; it adds each worker's address as a label and serves the
numbers on the admin listener.
"""

from collections.abc import Iterable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from santaserver.events import oddities
from santaserver.state import AppState
from santaserver.sync import withheld

PREFIX = "santa_backend"

Sample = tuple[Mapping[str, str], int]


async def metrics(request: Request) -> Response:
    """Return this worker's metrics."""
    state: AppState = request.app.state.santa
    return PlainTextResponse("\n".join(render(state)) + "\n", media_type="text/plain; version=0.0.4")


def render(state: AppState) -> Iterator[str]:
    """Return the lines."""
    memory = state.memory
    caches = sorted(memory.numbers(), key=lambda cache: cache.name)
    yield from _family(
        "cache_limit_bytes", "gauge", "Memory limit of all caches together.", [({}, memory.limit)]
    )
    yield from _family(
        "cache_bytes",
        "gauge",
        "Estimated memory of a cache.",
        [({"cache": cache.name}, cache.size) for cache in caches],
    )
    yield from _family(
        "cache_entries",
        "gauge",
        "Entries of a cache.",
        [({"cache": cache.name}, cache.entries) for cache in caches],
    )
    yield from _family(
        "cache_evictions_total",
        "counter",
        "Entries evicted from a cache.",
        [({"cache": cache.name}, cache.evictions) for cache in caches],
    )
    yield from _family(
        "claims_waiting",
        "gauge",
        "Claims of Macs about programs that are not stored yet.",
        [({}, len(state.programs.pending))],
    )
    yield from _family(
        "enrollment_refusals_total",
        "counter",
        "Requests of Macs that showed a known enrollment secret and were refused.",
        [({"reason": reason}, number) for reason, number in state.refused_secrets.counted.items()],
    )
    yield from _family(
        "tags_withheld_total",
        "counter",
        "Tags that Macs' reports would change, withheld because of the lock-out guard.",
        [({"change": change}, withheld.counted[change]) for change in ("gained", "lost")],
    )
    yield from _family(
        "report_oddities_total",
        "counter",
        "Parts of reported events that were dropped, truncated or unknown.",
        [({"kind": kind.value}, number) for kind, number in oddities.counted().items()],
    )


def _family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {help_text}"
    yield f"# TYPE {PREFIX}_{name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{label}="{text}"' for label, text in labels.items())
        yield f"{PREFIX}_{name}{{{inner}}} {value}" if inner else f"{PREFIX}_{name} {value}"


def routes() -> list[BaseRoute]:
    """Return the route."""
    return [Route("/metrics", metrics)]
