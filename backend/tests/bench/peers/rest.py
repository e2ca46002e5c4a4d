"""The console's two most frequent requests with an ORM: entities, dependencies, pydantic.

Each request takes a connection, begins a transaction, looks its session up and validates its response; plain
dependencies run in threads, as FastAPI has it. On SantaServer's own schema.
"""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from santaserver.current_user import User
from santaserver.paging import Page
from santaserver.rules import schemas
from santaserver.session_cookie import SECURE_NAME
from tests.bench.peers.entities import AppUser, Layer, MachineSync, Rule, RuleVersion, UserSession


def create_app(dsn: str) -> FastAPI:
    """Return the application."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        pool_size=5,
        max_overflow=5,
        pool_pre_ping=True,
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session
            await session.commit()

    def get_now() -> datetime:
        return datetime.now(UTC)

    async def get_user(
        request: Request,
        session: Annotated[AsyncSession, Depends(get_session)],
        now: Annotated[datetime, Depends(get_now)],
    ) -> User:
        hashed = hashlib.sha256(request.cookies.get(SECURE_NAME, "").encode()).digest()
        query = (
            select(UserSession, AppUser)
            .join(AppUser, AppUser.id == UserSession.user_id)
            .where(UserSession.id_hash == hashed, UserSession.expires_at > now, AppUser.disabled_at.is_(None))
        )
        row = (await session.execute(query)).one_or_none()
        if row is None:
            raise HTTPException(401)
        return User.model_validate(row[1], from_attributes=True)

    @app.get("/health/live")
    async def live() -> str:
        return "live"

    @app.get("/api/v1/auth/me")
    async def me(user: Annotated[User, Depends(get_user)]) -> User:
        return user

    @app.get("/api/v1/rules")
    async def rules(
        session: Annotated[AsyncSession, Depends(get_session)],
        _: Annotated[User, Depends(get_user)],
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Page[schemas.Rule]:
        return Page(items=await list_rules(session, limit), next_cursor=None)

    return app


async def list_rules(session: AsyncSession, limit: int) -> list[schemas.Rule]:
    """Return the newest rules with how many Macs confirmed them."""
    live = RuleVersion.closed_seq.is_(None) & RuleVersion.cancelled_at.is_(None)
    query = (
        select(Rule, RuleVersion, AppUser.username, Layer)
        .join(RuleVersion, (RuleVersion.rule_id == Rule.id) & live)
        .join(Layer, Layer.id == Rule.layer_id)
        .outerjoin(AppUser, AppUser.id == Rule.created_by)
        .where(Rule.removed_at.is_(None))
        .order_by(Rule.id.desc())
        .limit(limit)
    )
    found: list[Any] = [tuple(row) for row in await session.execute(query)]
    counts = select(MachineSync.acked_seq, func.count()).group_by(MachineSync.acked_seq)
    macs = [(row[0], row[1]) for row in await session.execute(counts)]
    return [
        schemas.Rule(
            **{name: getattr(version, name) for name in VERSIONED},
            **{name: getattr(rule, name) for name in OWN},
            layer="global" if layer.kind == "global" else f"{layer.kind}:{layer.name}",
            state="active",
            created_by=author,
            seq=version.opened_seq,
            machines_acked=sum(number for seq, number in macs if (seq or 0) >= (version.opened_seq or 0)),
            machines_total=sum(number for _, number in macs),
        )
        for rule, version, author, layer in found
    ]


VERSIONED = (
    *("policy", "cel_expr", "custom_msg", "custom_url", "reason", "locked"),
    *("starts_at", "expires_at"),
)
OWN = ("id", "rule_type", "identifier", "comment", "created_at")
