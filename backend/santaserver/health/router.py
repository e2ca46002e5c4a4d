"""`GET /health/ready` for santa-proxy, `GET /health/live` for the liveness probe of santa-supervise."""

import asyncio
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.migrations import HEAD
from santaserver.migrations.schema_version import current_version
from santaserver.state import AppState

DEADLINE = 1.5
"""Seconds for the database's response; santa-proxy waits 2."""

Check = Literal["ok", "pending", "failed", "unknown"]


async def ready(request: Request) -> Response:
    """Report whether this worker can serve: 200 or 503, without versions or addresses."""
    state: AppState = request.app.state.santa
    version: int | None = None
    database: Check = "ok"
    try:
        async with asyncio.timeout(DEADLINE):
            async with state.database.probe() as connection:
                version = await current_version(connection)
    except (TimeoutError, DatabaseUnavailable, StatementTimeout):
        database = "failed"
    checks: dict[str, Check] = {
        "backend": "ok",
        "database": database,
        "migrations": _migrations(database, version),
    }
    fine = all(check == "ok" for check in checks.values())
    return JSONResponse(
        {"status": "ready" if fine else "unavailable", "checks": checks}, 200 if fine else 503
    )


async def live(_: Request) -> Response:
    """Report that requests are served; an unreachable database is no reason for a restart."""
    return PlainTextResponse("live\n")


def _migrations(database: Check, version: int | None) -> Check:
    if database != "ok":
        return "unknown"
    return "ok" if version is not None and version >= HEAD else "pending"


def routes() -> list[BaseRoute]:
    """Return the health routes."""
    return [
        Route("/health/ready", ready),
        Route("/health/detailed", ready),
        Route("/health/live", live),
    ]
