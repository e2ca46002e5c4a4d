"""The families whose numbers are read when they are scraped: from memory, and from the last figures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import get_args

from msgspec import Struct

from santaserver import __version__
from santaserver.enrollment.refused_secret import RefusalReason
from santaserver.events import oddities
from santaserver.events.oddities import Oddity
from santaserver.instruments import Buckets, Family, Kind, Labels, Sample, distribution
from santaserver.limiter import WAITS, ConcurrencyLimiter
from santaserver.state import AppState
from santaserver.status.figures import Snapshot
from santaserver.status.limits import queues
from santaserver.sync import withheld

STATES = ("in_sync", "pending", "overdue", "never", "drifted")
MODES = ("monitor", "lockdown", "standalone")

Read = Callable[[AppState], Iterable[Sample]]


class Reading(Struct, frozen=True):
    """A family, and what reads its series."""

    family: Family
    read: Read

    def lines(self, state: AppState) -> Iterator[str]:
        """Return its text."""
        return self.family.lines(self.read(state))


class Waits(Struct, frozen=True):
    """A family of the waits for limited resources, and what reads them."""

    family: Family
    read: Callable[[AppState], Iterable[tuple[Labels, Buckets]]]

    def lines(self, state: AppState) -> Iterator[str]:
        """Return its text."""
        return distribution(self.family, WAITS, self.read(state))


def one(number: Callable[[AppState], float]) -> Read:
    """Read a family of one series without labels."""
    return lambda state: [((), number(state))]


def by_cache(number: str) -> Read:
    """Read a number of each cache."""

    def read(state: AppState) -> Iterator[Sample]:
        for cache in sorted(state.memory.numbers(), key=lambda cache: cache.name):
            yield (cache.name,), getattr(cache, number)

    return read


def pool_turns(state: AppState) -> dict[str, ConcurrencyLimiter]:
    """Return what lets requests have a connection, by pool."""
    return {name: pool.turns for name, pool in state.database.pools.items()}


def connections(state: AppState) -> Iterator[Sample]:
    """Read the connections of each pool."""
    for name, pool in state.database.pools.items():
        yield (name, "used"), pool.lent
        yield (name, "idle"), pool.idle


Limiters = Callable[[AppState], Mapping[str, ConcurrencyLimiter]]


def of_limiters(limiters: Limiters, number: Callable[[ConcurrencyLimiter], int]) -> Read:
    """Read a number of each limiter."""
    return lambda state: (((name,), number(limiter)) for name, limiter in limiters(state).items())


def waits_of(limiters: Limiters) -> Callable[[AppState], Iterator[tuple[Labels, Buckets]]]:
    """Read how long requests waited for each limiter."""
    return lambda state: (((name,), limiter.waits) for name, limiter in limiters(state).items())


def figures(read: Callable[[Snapshot], Iterable[Sample]]) -> Read:
    """Read from the last figures; no series while there are none."""

    def from_last(state: AppState) -> Iterable[Sample]:
        last = state.figures.ask()
        return () if last is None else read(last)

    return from_last


def figure(number: Callable[[Snapshot], float]) -> Read:
    """Read one series from the last figures."""
    return figures(lambda last: [((), number(last))])


def checkpoint_time(last: Snapshot) -> Iterable[Sample]:
    """Read when the last checkpoint was made; no series before the first."""
    at = last.server.checkpoint_at
    return () if at is None else [((), at.timestamp())]


def lateness(due_at: datetime | None, at: datetime) -> float:
    """Return for how many seconds something has been due."""
    return 0.0 if due_at is None else max((at - due_at).total_seconds(), 0.0)


def _family(name: str, kind: Kind, meaning: str, *labels: str) -> Family:
    return Family(name, kind, meaning, labels)


READINGS: tuple[Reading | Waits, ...] = (
    Reading(
        _family("build_info", "gauge", "Always 1; the version of the program.", "version"),
        lambda _: [((__version__,), 1)],
    ),
    Reading(
        _family("cache_limit_bytes", "gauge", "Memory limit of all caches together."),
        one(lambda state: state.memory.limit),
    ),
    Reading(_family("cache_bytes", "gauge", "Estimated memory of a cache.", "cache"), by_cache("size")),
    Reading(_family("cache_entries", "gauge", "Entries of a cache.", "cache"), by_cache("entries")),
    Reading(
        _family("cache_evictions_total", "counter", "Entries evicted from a cache.", "cache"),
        by_cache("evictions"),
    ),
    Reading(
        _family("claims_waiting", "gauge", "Claims of Macs about programs that are not stored yet."),
        one(lambda state: len(state.programs.pending)),
    ),
    Reading(
        _family(
            "enrollment_refusals_total",
            "counter",
            "Requests of Macs that showed a known enrollment secret and were refused.",
            "reason",
        ),
        lambda state: (
            ((reason,), state.refused_secrets.counted[reason]) for reason in get_args(RefusalReason)
        ),
    ),
    Reading(
        _family(
            "tags_withheld_total",
            "counter",
            "Tags that reports of Macs would change, withheld because of the lock-out guard.",
            "change",
        ),
        lambda _: (((change,), withheld.counted[change]) for change in ("gained", "lost")),
    ),
    Reading(
        _family(
            "report_oddities_total",
            "counter",
            "Parts of reported events that were dropped, truncated or unknown.",
            "kind",
        ),
        lambda _: (((kind.value,), oddities.counted()[kind]) for kind in Oddity),
    ),
    Reading(
        _family(
            "queue_waiting", "gauge", "Requests that wait for their turn beside the connections.", "queue"
        ),
        of_limiters(queues, lambda limiter: limiter.waiting),
    ),
    Reading(
        _family(
            "queue_refused_total",
            "counter",
            "Requests answered with 503 because too many waited, or one waited too long.",
            "queue",
        ),
        of_limiters(queues, lambda limiter: limiter.refused),
    ),
    Waits(
        _family(
            "queue_wait_seconds",
            "histogram",
            "Time of waiting for a turn; requests that got one at once are not in it.",
            "queue",
        ),
        waits_of(queues),
    ),
    Reading(
        _family("pool_size", "gauge", "Connections to the database that a pool may open.", "pool"),
        lambda state: (((name,), pool.size) for name, pool in state.database.pools.items()),
    ),
    Reading(
        _family("pool_connections", "gauge", "Open connections of a pool.", "pool", "state"), connections
    ),
    Reading(
        _family("pool_waiting", "gauge", "Requests that wait for a connection.", "pool"),
        of_limiters(pool_turns, lambda limiter: limiter.waiting),
    ),
    Reading(
        _family(
            "pool_refused_total",
            "counter",
            "Requests answered with 503 because no connection became free in time.",
            "pool",
        ),
        of_limiters(pool_turns, lambda limiter: limiter.refused),
    ),
    Waits(
        _family(
            "pool_wait_seconds",
            "histogram",
            "Time of waiting for a connection; requests that got one at once are not in it.",
            "pool",
        ),
        waits_of(pool_turns),
    ),
    Reading(
        _family("database_up", "gauge", "0 while the last attempt to use the database failed, else 1."),
        one(lambda state: 0 if state.database.outages.ongoing else 1),
    ),
    Reading(
        _family("live_subscribers", "gauge", "Open live connections of the console."),
        one(lambda state: state.bus.subscribers),
    ),
    Reading(
        _family("figures_timestamp_seconds", "gauge", "When the figures that follow were read."),
        figure(lambda last: last.server.at.timestamp()),
    ),
    Reading(
        _family("macs", "gauge", "Macs by state of their last sync, in the whole fleet.", "state"),
        figures(lambda last: [((name,), getattr(last.overview.machines, name)) for name in STATES]),
    ),
    Reading(
        _family("macs_in_mode", "gauge", "Macs by the client mode that they report.", "mode"),
        figures(lambda last: [((name,), getattr(last.overview.modes, name)) for name in MODES]),
    ),
    Reading(
        _family("macs_withheld", "gauge", "Macs whose tags are withheld now, because of the lock-out guard."),
        figure(lambda last: last.overview.machines.withheld),
    ),
    Reading(
        _family("rules", "gauge", "Rules that are not removed."),
        figure(lambda last: last.overview.rules.total),
    ),
    Reading(
        _family("policy_number", "gauge", "Number of the newest change of the policy."),
        figure(lambda last: last.server.policy_number),
    ),
    Reading(
        _family(
            "schedule_lag_seconds",
            "gauge",
            "For how long a scheduled change of rules has been due without being made.",
        ),
        figure(lambda last: lateness(last.server.next_change_at, last.server.at)),
    ),
    Reading(
        _family("events_uncounted", "gauge", "Rows that wait to be added to the counts of events."),
        figure(lambda last: last.server.uncounted_events),
    ),
    Reading(
        _family("audit_entries", "gauge", "Entries of the audit log."),
        figure(lambda last: last.server.audit_size),
    ),
    Reading(
        _family(
            "audit_checkpoint_timestamp_seconds",
            "gauge",
            "When the last checkpoint of the audit log was made.",
        ),
        figures(checkpoint_time),
    ),
    Reading(
        _family("sessions", "gauge", "Sessions of people that have not ended."),
        figure(lambda last: last.server.sessions),
    ),
    Reading(
        _family("database_size_bytes", "gauge", "Size of the database on its disk."),
        figure(lambda last: last.server.database_size),
    ),
    Reading(
        _family("database_connections", "gauge", "Connections of all clients to the PostgreSQL server."),
        figure(lambda last: last.server.database_connections),
    ),
    Reading(
        _family("database_max_connections", "gauge", "Connections that the PostgreSQL server allows."),
        figure(lambda last: last.server.database_max_connections),
    ),
    Reading(
        _family(
            "database_oldest_transaction_seconds",
            "gauge",
            "Age of the longest open transaction of this role.",
        ),
        figure(lambda last: last.server.oldest_transaction),
    ),
)
