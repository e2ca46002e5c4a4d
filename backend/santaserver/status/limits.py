"""What limits the requests of a worker, by its name in metrics and on the operators' page."""

from collections.abc import Mapping

from santaserver.limiter import ConcurrencyLimiter
from santaserver.postgres.pool import Pool
from santaserver.state import AppState


def connection_pools(state: AppState) -> Mapping[str, Pool]:
    """Return the pools of connections."""
    return state.database.pools


def queues(state: AppState) -> Mapping[str, ConcurrencyLimiter]:
    """Return what limits requests besides the connections."""
    limits = state.limits
    return {
        "syncs": limits.syncs,
        "events": limits.events,
        "syncs_without_rules": limits.waiting_syncs,
        "exports": limits.exports,
        "imports": limits.imports,
        "logins": state.logins,
    }
