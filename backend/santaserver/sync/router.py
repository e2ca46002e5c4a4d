"""Santa's stages over HTTP: `/api/santa/{stage}/{machine_id}`, the secret optionally in the path.

A client accepts only 200 as success, takes 403 as "fetch an XSRF token", and ends its sync at other 4xx than
408 and 429: so nothing here returns 201, 204 or 403.

Bare ASGI: the stages are most of what a server does, and what the REST interface has around its
endpoints would cost each of them a fifth of its time.
"""

import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from santaserver.bodies import Reservation, received
from santaserver.db import Connection
from santaserver.enrollment import admission
from santaserver.enrollment.admission import EnrollmentTerms, Proof
from santaserver.enrollment.secrets import shown_secret
from santaserver.errors import BadRequest, NotFound, TooLarge
from santaserver.events.ingest import Intake, event_upload
from santaserver.events.parse import parse_binary_upload, parse_upload
from santaserver.inputs import is_storable
from santaserver.problems import CatchCrashes, ProblemResponses
from santaserver.protocol import protobuf
from santaserver.protocol.body import (
    FIRST_PIECE,
    MAX_STAGE,
    MAX_UPLOAD,
    PLAIN,
    Form,
    Inflater,
    check_length,
    encoding_of,
    form_of,
    too_large,
)
from santaserver.protocol.messages import (
    MessageT,
    PostflightRequest,
    PreflightRequest,
    RuleDownloadRequest,
    parse_object,
    read_leniently,
)
from santaserver.state import AppState
from santaserver.sync import quick, repository, service
from santaserver.sync.pages import Page
from santaserver.sync.responses import Fields, page_response, stage_response
from santaserver.sync.service import SyncContext
from santaserver.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

PREFIX = "/api/santa"
DOCTOR = "santactl-doctor-test"
"""The id of the probe of `santactl doctor`: it gets a response, but is not a machine."""
MAX_ID = 1000
EMPTY = b"{}"


class Content(Struct, frozen=True):
    """A request's decoded body and its form."""

    form: Form
    plain: bytes

    def message(self, kind: type[MessageT]) -> MessageT:
        """Return the message in the body."""
        if self.form is Form.PROTOBUF:
            return protobuf.read(self.plain, kind)
        return read_leniently(parse_object(self.plain), kind)


@dataclass(frozen=True)
class SyncStage:
    """A stage of a sync: its message, and the two ways to carry it out."""

    message: type[Struct]
    quick: Callable[[SyncContext, str, Any], Awaitable[Page | bytes | None]]
    locked: Callable[[SyncContext, str, Any], Awaitable[Page | bytes]]


SYNC_STAGES = {
    "preflight": SyncStage(PreflightRequest, quick.preflight, service.preflight),
    "ruledownload": SyncStage(RuleDownloadRequest, quick.rule_download, service.rule_download),
    "postflight": SyncStage(PostflightRequest, quick.postflight, service.postflight),
}
KNOWN_STAGES = frozenset({*SYNC_STAGES, "eventupload", "metrics"})


class Call(Struct, frozen=True):
    """One request: its stage, or `xsrf`; its machine; its header fields, names in lower case."""

    state: AppState
    stage: str
    machine_id: str
    secret: str | None
    fields: Mapping[str, str]

    def proof(self) -> Proof:
        """Return the Mac's credentials."""
        # Only santa-proxy sets the field: it removes it from clients' requests.
        return Proof(shown_secret(self.fields, self.secret), "client-cert" in self.fields)


async def serve_call(scope: Scope, receive: Receive, send: Send) -> None:
    """Handle one request below the prefix."""
    call = _call(scope)
    if scope["method"] != "POST":
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    if call.stage == "xsrf":
        body, fields = b"", _token(call)
    else:
        body, fields = await _run(call, receive)
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _run(call: Call, receive: Receive) -> tuple[bytes, Fields]:
    """Authenticate the Mac, then receive the body and run the stage."""
    form = form_of(call.fields)
    if call.stage not in KNOWN_STAGES and call.machine_id != DOCTOR:
        raise NotFound(f"Unknown stage {call.stage!r}")
    enrolled = await _authorised(call)
    if call.machine_id == DOCTOR:
        return stage_response(call.stage, form, EMPTY, "")
    try:
        body = await _received(call, receive, form, enrolled)
    except TooLarge as error:
        if call.stage != "eventupload" or not call.state.batch_caps.too_large(
            call.machine_id, call.state.clock()
        ):
            raise
        log.warning("dropped an event of %s, which is too large even on its own: %s", call.machine_id, error)
        body = EMPTY
    accepted = call.fields.get("accept-encoding", "")
    if isinstance(body, Page):
        return page_response(call.state.caches, body, form, accepted)
    return stage_response(call.stage, form, body, accepted)


async def _received(
    call: Call, receive: Receive, form: Form, enrolled: EnrollmentTerms | None
) -> Page | bytes:
    """Receive the body within its limits, then run the stage when there is a free place for it."""
    limits = call.state.limits
    limit = MAX_UPLOAD if call.stage == "eventupload" else MAX_STAGE
    check_length(call.fields, limit)
    encoding = encoding_of(call.fields)
    with Reservation(limits.bodies) as hold:
        sent = await received(receive, hold, limit, too_large(limit))
        content = Content(form, await _plain(call, sent, encoding, limit, hold))
        del sent
        if call.stage in SYNC_STAGES:
            async with limits.syncs.slot():
                return await _sync(call, enrolled, content)
        async with limits.events.slot():
            return await _report(call, enrolled, content)


async def _authorised(call: Call) -> EnrollmentTerms | None:
    """Check a Mac's credentials before its body is read."""
    state = call.state
    required = state.settings.enrollment_required
    return await admission.authorize(
        partial(_lent, state), state.enrollments, call.proof(), required, state.clock()
    )


@asynccontextmanager
async def _lent(state: AppState) -> AsyncIterator[Connection]:
    async with state.limits.syncs.slot(), state.database.connection(state.bus.publish) as (connection, _):
        yield connection


async def _plain(call: Call, sent: bytes, encoding: str, limit: int, hold: Reservation) -> bytes:
    """Undo the content encoding; large bodies off the event loop."""
    if encoding in PLAIN or not sent:
        return sent
    inflater = Inflater(sent, encoding, limit, hold)
    if inflater.step(FIRST_PIECE):
        return inflater.whole()
    return await call.state.limits.body_worker.run(inflater.rest)


def _token(call: Call) -> Fields:
    """Return a token for a client that got a 403 from an intermediary; none is ever required."""
    key = call.state.settings.security.secret_key.encode()
    token = hmac.new(key, b"xsrf\0" + call.machine_id.encode(), hashlib.sha256).hexdigest()
    return [
        (b"content-type", b"application/json"),
        (b"x-xsrf-token", token.encode()),
        (b"content-length", b"0"),
    ]


async def _sync(call: Call, enrolled: EnrollmentTerms | None, content: Content) -> Page | bytes:
    """Run a stage of a sync: by the fast path if it applies, else in one transaction."""
    state, machine_id = call.state, call.machine_id
    way = SYNC_STAGES[call.stage]
    message = content.message(way.message)
    if isinstance(message, PreflightRequest):
        admission.check_serial(enrolled, message.serial_number)
    async with state.database.connection(state.bus.publish) as (connection, outbox):
        work = UnitOfWork(connection, outbox=outbox)
        stage = SyncContext(connection, work, state.caches, state.signer, enrolled, state.clock())
        body = await quick.attempt(way.quick, stage, machine_id, message)
        if body is None:
            async with connection.transaction():
                body = await way.locked(stage, machine_id, message)
                await work.finish()
    if isinstance(message, PreflightRequest) and isinstance(body, bytes):
        return state.batch_caps.apply(machine_id, body, state.clock())
    return body


async def _report(call: Call, enrolled: EnrollmentTerms | None, content: Content) -> bytes:
    """Store what a Mac reports beside its syncs; each statement is a separate transaction."""
    state, machine_id, now = call.state, call.machine_id, call.state.clock()
    if call.stage == "metrics":
        _metrics(machine_id, content)
        return EMPTY
    parse = parse_binary_upload if content.form is Form.PROTOBUF else parse_upload
    work = partial(parse, content.plain, machine_id, now)
    upload = work() if len(content.plain) <= FIRST_PIECE else await state.limits.body_worker.run(work)

    async def enroll() -> None:
        await _enroll(state, enrolled, machine_id, now)

    async with state.database.statements() as connection:
        intake = Intake(connection, state.programs, enroll, state.news, now)
        return await event_upload(intake, machine_id, upload)


def _metrics(machine_id: str, content: Content) -> None:
    """Accept an agent's telemetry without reading or storing it."""
    log.debug("%s reported %d bytes of metrics", machine_id, len(content.plain))


async def _enroll(state: AppState, enrolled: EnrollmentTerms | None, machine_id: str, now: datetime) -> None:
    async with state.database.transaction(state.bus.publish) as (connection, _):
        await admission.admit(connection, enrolled, "")
        await repository.create_machine(connection, machine_id, enrolled.id if enrolled else None, now)


def _call(scope: Scope) -> Call:
    """Parse a request; machine ids may contain anything, even slashes."""
    secret = None
    stage, slash, machine_id = scope["path"][len(PREFIX) + 1 :].partition("/")
    if stage == "e":
        shown, _, rest = machine_id.partition("/")
        inner, inner_slash, inner_id = rest.partition("/")
        if shown and inner and inner_slash:
            secret, stage, machine_id = shown, inner, inner_id
    if not (stage and slash):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    if not machine_id or len(machine_id) > MAX_ID or not is_storable(machine_id):
        raise BadRequest(f"A machine id has 1 to {MAX_ID} characters")
    # If a field is repeated, the first one counts.
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
    return Call(scope["app"].state.santa, stage, machine_id, secret, fields)


def is_stage(scope: Scope) -> bool:
    """Return whether a request is one of Santa's."""
    path: str = scope["path"] if scope["type"] == "http" else ""
    return path.startswith(PREFIX + "/")


serve_stage: ASGIApp = CatchCrashes(ProblemResponses(serve_call))
"""The whole protocol, errors included."""
