"""Builds the application, in the same way for tests, development and production."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from santaserver import __version__, logs, openapi, problems
from santaserver.audit_log.checkpoints import keep_checkpoints
from santaserver.authorization import check_declarations
from santaserver.cache import CacheMemory
from santaserver.clock import Clock, system_clock
from santaserver.db import Database
from santaserver.endpoints import endpoints
from santaserver.enrollment.admission import EnrollmentCache
from santaserver.enrollment.refusals import RefusedCredentials
from santaserver.enrollment.secret_refusals import RefusedSecrets, keep_refusals
from santaserver.events.catalog import ProgramCache
from santaserver.events.claims import write_claims
from santaserver.events.counts import keep_counts
from santaserver.events.news import EventNews, tell_events
from santaserver.events.upkeep import keep_in_order
from santaserver.headers import RestHeaders
from santaserver.live.bus import Bus
from santaserver.live.relay import Relay
from santaserver.oidc.provider import Provider
from santaserver.overview.shared import SharedOverview
from santaserver.policy.preparation import RulePreparer
from santaserver.rest_body import RestBody
from santaserver.routing import API
from santaserver.rules.progress import FleetProgress
from santaserver.schedule import keep_schedule
from santaserver.scim.access import ScimAccess
from santaserver.scim.endpoint import is_scim, serve_scim
from santaserver.settings import Settings
from santaserver.state import AppState
from santaserver.status.figures import Figures
from santaserver.sync.batch_caps import BatchCaps
from santaserver.sync.caches import SyncCaches
from santaserver.sync.cursor import CursorSigner
from santaserver.sync.router import is_stage, serve_stage
from santaserver.tokens.access import Tokens
from santaserver.users.origin import OriginGuard
from santaserver.users.sessions import Lifetimes, Sessions
from santaserver.users.setup_notice import announce


class Application(FastAPI):
    """FastAPI for the REST interface; Santa's stages and SCIM bypass it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "lifespan":
            logs.current_request.set(scope)
        if is_stage(scope):
            scope["app"] = self
            await serve_stage(scope, receive, send)
        elif is_scim(scope):
            scope["app"] = self
            await serve_scim(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, clock: Clock = system_clock) -> FastAPI:
    """Return the application; it connects to the database with the first request that needs it."""
    app = Application(
        title="SantaServer",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    database = Database(settings.database, logs.hide)
    memory = CacheMemory(settings.server.cache_memory_mib * 2**20)
    caches = SyncCaches(memory)
    caches.preparer = RulePreparer(database.preparation, caches)
    app.state.santa = AppState(
        settings=settings,
        database=database,
        clock=clock,
        bus=Bus(wall=clock),
        caches=caches,
        signer=CursorSigner(settings.secret_keys),
        sessions=(known := Sessions(database, Lifetimes.of(settings.security), memory)),
        tokens=Tokens(database, known.watch, memory),
        scim=ScimAccess(database),
        enrollments=EnrollmentCache(memory),
        refused_credentials=RefusedCredentials(memory),
        refused_secrets=RefusedSecrets(),
        programs=ProgramCache(memory),
        batch_caps=BatchCaps(memory),
        progress=FleetProgress(memory),
        overview=(counted := SharedOverview()),
        figures=Figures(database, counted, clock),
        started_at=clock(),
        memory=memory,
        news=EventNews(),
        provider=Provider(settings) if settings.identity.issuer else None,
    )
    app.add_middleware(RestBody)
    app.add_middleware(problems.ProblemResponses)
    problems.install(app)
    app.router.routes += endpoints()
    check_declarations(app)
    app.add_middleware(OriginGuard, public_url=settings.server.public_url)
    app.add_middleware(RestHeaders, prefix=API)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.build(app)
    return app.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: AppState = app.state.santa
    tasks = [
        asyncio.create_task(state.sessions.watch.run(), name="session watch"),
        asyncio.create_task(Relay(state.database, state.bus).run(), name="live relay"),
        asyncio.create_task(
            keep_in_order(state.database, state.clock, state.settings.retention), name="event upkeep"
        ),
        asyncio.create_task(keep_counts(state.database), name="event counts"),
        asyncio.create_task(
            write_claims(state.database, state.programs, state.clock),
            name="claims of Macs",
        ),
        asyncio.create_task(
            tell_events(state.database, state.news, state.bus.publish, state.clock), name="event news"
        ),
        asyncio.create_task(
            keep_checkpoints(state.database, state.settings, state.clock), name="audit checkpoints"
        ),
        asyncio.create_task(
            keep_refusals(state.database, state.refused_secrets), name="refused enrollment secrets"
        ),
        asyncio.create_task(
            announce(state),
            name="setup notice",
        ),
        asyncio.create_task(state.figures.keep(), name="figures for metrics"),
        asyncio.create_task(
            keep_schedule(state.database, state.clock, state.bus.publish, state.settings.retention),
            name="schedule",
        ),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if state.caches.preparer is not None:
            await state.caches.preparer.close()
        if state.provider is not None:
            state.provider.close()
        await state.database.close()
