"""A peer written the plain way: SQLAlchemy entities, pydantic models, a session as a dependency.

A Mac gets every rule of its tags that changed since the number it confirmed, from one indexed query;
uploads look their programs up in one query and add entities in bulk.
"""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, Index, func, insert, or_, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import DateTime

from tests.bench import fleet

PAGE = 1000


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own form


class Rule(Base):
    """A rule, for everybody or for one tag."""

    __tablename__ = "rule"
    __table_args__ = (Index("rule_changed", "seq"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    rule_type: Mapped[str]
    identifier: Mapped[str]
    policy: Mapped[str]
    custom_msg: Mapped[str]
    tag: Mapped[int | None]
    seq: Mapped[int]


class Machine(Base):
    """A Mac."""

    __tablename__ = "machine"

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[str] = mapped_column(unique=True)
    serial: Mapped[str]
    hostname: Mapped[str]
    os_version: Mapped[str]
    santa_version: Mapped[str]
    primary_user: Mapped[str]
    client_mode: Mapped[str]
    acked_seq: Mapped[int]
    pending_seq: Mapped[int | None]
    last_preflight_at: Mapped[datetime | None]
    last_postflight_at: Mapped[datetime | None]
    tags: Mapped[list["MachineTag"]] = relationship(lazy="selectin")


class MachineTag(Base):
    """A Mac has a tag."""

    __tablename__ = "machine_tag"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    tag: Mapped[int] = mapped_column(primary_key=True)


class Program(Base):
    """A program by its content."""

    __tablename__ = "program"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    file_name: Mapped[str]
    team_id: Mapped[str]
    signing_id: Mapped[str]


class Event(Base):
    """An execution."""

    __tablename__ = "event"
    __table_args__ = (Index("event_machine", "machine_id", "occurred_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    program_id: Mapped[int] = mapped_column(ForeignKey("program.id"))
    occurred_at: Mapped[datetime]
    decision: Mapped[str]
    file_path: Mapped[str]
    executing_user: Mapped[str]
    pid: Mapped[int]


class Preflight(BaseModel):
    """The first stage."""

    serial_num: str = ""
    hostname: str = ""
    os_version: str = ""
    santa_version: str = ""
    primary_user: str = ""
    client_mode: str = ""


class PreflightAnswer(BaseModel):
    """The response to a preflight."""

    sync_type: str = "NORMAL"
    client_mode: str = "LOCKDOWN"
    batch_size: int = 50
    full_sync_interval: int = 600


class Certificate(BaseModel):
    """One of a signing chain."""

    sha256: str = ""
    cn: str = ""
    org: str = ""


class Execution(BaseModel):
    """One event."""

    file_sha256: str
    file_name: str = ""
    file_path: str = ""
    executing_user: str = ""
    execution_time: float = 0
    decision: str = ""
    pid: int = 0
    team_id: str = ""
    signing_id: str = ""
    signing_chain: list[Certificate] = Field(default_factory=list)


class Upload(BaseModel):
    """A batch of events."""

    events: list[Execution] = Field(default_factory=list)


class RuleMessage(BaseModel):
    """One rule."""

    identifier: str
    rule_type: str
    policy: str
    custom_msg: str = ""


class Page(BaseModel):
    """A page of rules."""

    rules: list[RuleMessage]
    cursor: str | None = None


class Download(BaseModel):
    """A request for a page."""

    cursor: str | None = None


class Empty(BaseModel):
    """An empty response."""


async def fill(connection: asyncpg.Connection, size: fleet.Size) -> None:
    """Put rules and Macs that have them into an empty database."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=_same(connection))
    async with engine.begin() as own:
        await own.run_sync(Base.metadata.create_all)
    await engine.dispose(close=False)
    await connection.copy_records_to_table(
        "rule",
        columns=["rule_type", "identifier", "policy", "custom_msg", "tag", "seq"],
        records=(
            (rule.rule_type, rule.identifier, rule.policy, rule.message, rule.tag or None, 1)
            for rule in fleet.rules(size.rules)
        ),
    )
    numbers = range(size.machines)
    await connection.copy_records_to_table(
        "machine",
        columns=[
            *("id", "machine_id", "serial", "hostname", "os_version", "santa_version", "primary_user"),
            *("client_mode", "acked_seq"),
        ],
        records=(
            (
                number,
                fleet.name(number),
                said.serial_number,
                said.hostname,
                said.os_version,
                said.santa_version,
                said.primary_user,
                said.client_mode,
                1,
            )
            for number in numbers
            for said in (fleet.report(number),)
        ),
    )
    await connection.copy_records_to_table(
        "machine_tag", records=((number, tag) for number in numbers for tag in fleet.tags_of(number))
    )


def _same(connection: asyncpg.Connection) -> Callable[[], Awaitable[asyncpg.Connection]]:
    async def creator() -> asyncpg.Connection:
        return connection

    return creator


async def measure(connection: asyncpg.Connection) -> dict[str, float]:
    """Return bytes of a Mac's row, and its share of the table with its indexes."""
    row = await connection.fetchrow(
        """select avg(pg_column_size(m.*))::float as rows,
             pg_total_relation_size('machine') / count(*)::float as tables from machine m"""
    )
    return dict(row)


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    """Give a request its session, committed at the end."""
    async with request.app.state.sessions() as session:
        yield session
        await session.commit()


SessionDep = Annotated[AsyncSession, Depends(session_of)]


async def machine_of(machine_id: str, session: SessionDep) -> Machine:
    """Return the Mac that asks."""
    machine = await session.scalar(select(Machine).where(Machine.machine_id == machine_id))
    if machine is None:
        raise HTTPException(404, "unknown machine")
    return machine


MachineDep = Annotated[Machine, Depends(machine_of)]


async def body_of(request: Request) -> bytes:
    """Return a request's content without its coding."""
    return zlib.decompress(await request.body())


BodyDep = Annotated[bytes, Depends(body_of)]


async def preflight(machine: MachineDep, body: BodyDep, session: SessionDep) -> PreflightAnswer:
    """Store a Mac's report, and the number that this sync reaches."""
    said = Preflight.model_validate_json(body)
    machine.serial, machine.hostname = said.serial_num, said.hostname
    machine.os_version, machine.santa_version = said.os_version, said.santa_version
    machine.primary_user, machine.client_mode = said.primary_user, said.client_mode
    machine.pending_seq = await session.scalar(select(func.max(Rule.seq)))
    machine.last_preflight_at = datetime.now(UTC)
    return PreflightAnswer()


async def event_upload(machine: MachineDep, body: BodyDep, session: SessionDep) -> Empty:
    """Store a batch."""
    upload = Upload.model_validate_json(body)
    by_content = {event.file_sha256: event for event in upload.events}
    wanted = select(Program.sha256, Program.id).where(Program.sha256.in_(by_content))
    known = {row.sha256: row.id for row in await session.execute(wanted)}
    new = [
        {
            "sha256": sha256,
            "file_name": event.file_name,
            "team_id": event.team_id,
            "signing_id": event.signing_id,
        }
        for sha256, event in sorted(by_content.items())
        if sha256 not in known
    ]
    if new:
        # Another upload may bring the same one at the same time.
        await session.execute(postgresql.insert(Program).values(new).on_conflict_do_nothing())
        known = {row.sha256: row.id for row in await session.execute(wanted)}
    await session.execute(
        insert(Event),
        [
            {
                "machine_id": machine.id,
                "program_id": known[event.file_sha256],
                "occurred_at": datetime.fromtimestamp(event.execution_time, UTC),
                "decision": event.decision,
                "file_path": event.file_path,
                "executing_user": event.executing_user,
                "pid": event.pid,
            }
            for event in upload.events
        ],
    )
    return Empty()


async def rule_download(machine: MachineDep, body: BodyDep, session: SessionDep) -> Page:
    """Send what changed since the Mac's last sync."""
    cursor = Download.model_validate_json(body).cursor
    rules = (
        await session.scalars(
            select(Rule)
            .where(
                Rule.seq > machine.acked_seq,
                Rule.id > int(cursor or 0),
                or_(Rule.tag.is_(None), Rule.tag.in_([member.tag for member in machine.tags])),
            )
            .order_by(Rule.id)
            .limit(PAGE)
        )
    ).all()
    return Page(
        rules=[RuleMessage.model_validate(rule, from_attributes=True) for rule in rules],
        cursor=str(rules[-1].id) if len(rules) == PAGE else None,
    )


async def postflight(machine: MachineDep) -> Empty:
    """Record that the Mac has everything."""
    if machine.pending_seq is not None:
        machine.acked_seq = machine.pending_seq
    machine.last_postflight_at = datetime.now(UTC)
    return Empty()


def create_app(dsn: str) -> FastAPI:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: asyncpg.connect(dsn),
            pool_size=10,
            max_overflow=0,
        )
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    base = "/api/santa"
    app.add_api_route(f"{base}/preflight/{{machine_id}}", preflight, methods=["POST"])
    app.add_api_route(f"{base}/eventupload/{{machine_id}}", event_upload, methods=["POST"])
    app.add_api_route(f"{base}/ruledownload/{{machine_id}}", rule_download, methods=["POST"])
    app.add_api_route(f"{base}/postflight/{{machine_id}}", postflight, methods=["POST"])
    return app
