"""What one process shares between its requests; made by `main.create_app`.

At run time it imports none of the folders whose parts it holds, since their endpoints all import it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from santaserver.limiter import ConcurrencyLimiter
from santaserver.limits import Limits
from santaserver.refusals import Refusals

if TYPE_CHECKING:
    from datetime import datetime

    from santaserver.cache import CacheMemory
    from santaserver.clock import Clock
    from santaserver.db import Database
    from santaserver.enrollment.admission import EnrollmentCache
    from santaserver.enrollment.refusals import RefusedCredentials
    from santaserver.enrollment.secret_refusals import RefusedSecrets
    from santaserver.events.catalog import ProgramCache
    from santaserver.events.news import EventNews
    from santaserver.live.bus import Bus
    from santaserver.oidc.provider import Provider
    from santaserver.overview.shared import SharedOverview
    from santaserver.rules.progress import FleetProgress
    from santaserver.scim.access import ScimAccess
    from santaserver.settings import Settings
    from santaserver.status.figures import Figures
    from santaserver.sync.batch_caps import BatchCaps
    from santaserver.sync.caches import SyncCaches
    from santaserver.sync.cursor import CursorSigner
    from santaserver.tokens.access import Tokens
    from santaserver.users.sessions import Sessions

PASSWORD_THREADS = 2
"""Password checks at the same time: each takes 19 MiB and a core for some 30 ms."""
LOGINS_WAITING = 200
LOGINS_WAITING_PER_NETWORK = 20
LOGIN_WAIT_TIMEOUT = 10.0


def _logins() -> ConcurrencyLimiter:
    return ConcurrencyLimiter(
        "logins",
        PASSWORD_THREADS,
        LOGINS_WAITING,
        LOGIN_WAIT_TIMEOUT,
        per_key=1,
        waiting_per_key=LOGINS_WAITING_PER_NETWORK,
    )


@dataclass(frozen=True)
class AppState:
    """Settings, database, clock, live bus, caches, cursor key and limits of this process."""

    settings: Settings
    database: Database
    clock: Clock
    bus: Bus
    caches: SyncCaches
    signer: CursorSigner
    sessions: Sessions
    tokens: Tokens
    scim: ScimAccess
    enrollments: EnrollmentCache
    refused_credentials: RefusedCredentials
    refused_secrets: RefusedSecrets
    programs: ProgramCache
    batch_caps: BatchCaps
    progress: FleetProgress
    overview: SharedOverview
    figures: Figures
    started_at: datetime
    memory: CacheMemory
    news: EventNews
    provider: Provider | None = None
    """The identity provider; None when there are local accounts only."""
    limits: Limits = field(default_factory=Limits)
    logins: ConcurrencyLimiter = field(default_factory=_logins)
    refusals: Refusals = field(default_factory=Refusals)
    announced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is known whether there is an administrator (users/setup_notice.py)."""
