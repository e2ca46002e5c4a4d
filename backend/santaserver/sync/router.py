"""Santa's stages over HTTP: `/api/santa/{stage}/{machine_id}`, the secret optionally in the path.

A client accepts only 200 as success, takes 403 as "fetch an XSRF token", and ends its sync at other 4xx than
408 and 429: so nothing here returns 201 or 204, and 403 only who shows another credential than the Mac's.

Bare ASGI: the stages are most of what a server does, and what the REST interface has around its
endpoints would cost each of them a fifth of its time.
"""

import asyncio
import logging
import time
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

from santaserver.audit import RequestInfo
from santaserver.bodies import Reservation, received
from santaserver.db import Connection
from santaserver.enrollment import admission, identity, refusals
from santaserver.enrollment.admission import EnrollmentTerms, Proof
from santaserver.enrollment.credentials import Credential, certificate_in, certificate_of
from santaserver.enrollment.refusals import CredentialRefused
from santaserver.enrollment.refused_secret import SecretRefused
from santaserver.enrollment.secrets import shown_secret
from santaserver.errors import BadRequest, NotFound, TooLarge
from santaserver.events.ingest import Intake, event_upload
from santaserver.events.measured import EVENTS
from santaserver.events.parse import parse_binary_upload, parse_upload
from santaserver.inputs import is_storable
from santaserver.policy.preparation import WAIT_TIMEOUT, NotPrepared
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
from santaserver.sync import measured, quick, service
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


class Shown(Struct, frozen=True):
    """What a request's credentials stand for."""

    terms: EnrollmentTerms | None
    certificate: bytes | None

    @property
    def credential(self) -> Credential:
        """What a machine is bound to by them."""
        return Credential(self.terms.id if self.terms else None, self.certificate)


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
        return Proof(shown_secret(self.fields, self.secret), certificate_of(self.fields), self.address)

    @property
    def address(self) -> str:
        """The client address, which only santa-proxy can set; empty without it."""
        return self.fields.get("x-real-ip", "")

    def info(self) -> RequestInfo:
        """Return what the audit log says about the request."""
        return RequestInfo(self.fields.get("x-request-id", ""), self.address)


async def serve_call(scope: Scope, receive: Receive, send: Send) -> None:
    """Handle one request below the prefix, and count it."""
    began_at = time.perf_counter()
    stage, error = measured.OTHER, None
    try:
        call = _call(scope)
        stage = call.stage
        await _serve(call, scope, receive, send)
    except BaseException as raised:
        error = raised
        raise
    finally:
        measured.count_request(stage, error, began_at)


async def _serve(call: Call, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] != "POST":
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    if call.stage == "xsrf":
        body, fields = b"", _token(call)
    else:
        try:
            body, fields = await _run(call, receive)
        except SecretRefused as refused:
            _count(call, refused)
            raise
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _run(call: Call, receive: Receive) -> tuple[bytes, Fields]:
    """Authenticate the Mac, then receive the body and run the stage."""
    form = form_of(call.fields)
    if call.stage not in KNOWN_STAGES and call.machine_id != DOCTOR:
        raise NotFound(f"Unknown stage {call.stage!r}")
    proof = call.proof()
    shown = Shown(await _authorised(call, proof), proof.certificate)
    if call.machine_id == DOCTOR:
        return stage_response(call.stage, form, EMPTY, "")
    try:
        body = await _received(call, receive, form, shown)
    except CredentialRefused as refused:
        await _tell(call, refused, shown)
        raise
    except TooLarge as error:
        if call.stage != "eventupload" or not call.state.batch_caps.too_large(
            call.machine_id, call.state.clock()
        ):
            raise
        EVENTS.add("too_large")
        log.warning("dropped an event of %s, which is too large even on its own: %s", call.machine_id, error)
        body = EMPTY
    accepted = call.fields.get("accept-encoding", "")
    if isinstance(body, Page):
        return page_response(call.state.caches, body, form, accepted)
    return stage_response(call.stage, form, body, accepted)


async def _received(call: Call, receive: Receive, form: Form, shown: Shown) -> Page | bytes:
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
            return await _when_prepared(call, shown, content)
        async with limits.events.slot():
            return await _report(call, shown, content)


async def _when_prepared(call: Call, shown: Shown, content: Content) -> Page | bytes:
    """Run a stage of a sync; when it needs rules that are still being prepared, once more after those."""
    limits = call.state.limits
    until = asyncio.get_running_loop().time() + WAIT_TIMEOUT
    while True:
        try:
            async with limits.syncs.slot():
                return await _sync(call, shown, content)
        except NotPrepared as error:
            missing = error.with_traceback(None)
        async with limits.waiting_syncs.slot():
            await missing.wait(until)


async def _authorised(call: Call, proof: Proof) -> EnrollmentTerms | None:
    """Check a Mac's credentials before its body is read."""
    state = call.state
    required = state.settings.enrollment_required
    return await admission.authorize(partial(_lent, state), state.enrollments, proof, required, state.clock())


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
    token = call.state.settings.secret_keys.sign("xsrf", call.machine_id.encode()).hex()
    return [
        (b"content-type", b"application/json"),
        (b"x-xsrf-token", token.encode()),
        (b"content-length", b"0"),
    ]


async def _sync(call: Call, shown: Shown, content: Content) -> Page | bytes:
    """Run a stage of a sync: by the fast path if it applies, else in one transaction."""
    state, machine_id = call.state, call.machine_id
    way = SYNC_STAGES[call.stage]
    message = content.message(way.message)
    if isinstance(message, PreflightRequest):
        admission.check_serial(shown.terms, message.serial_number)
        admission.check_certificate(shown.terms, certificate_in(call.fields), message.serial_number)
    async with state.database.connection(state.bus.publish) as (connection, outbox):
        work = UnitOfWork(connection, outbox=outbox)
        stage = SyncContext(
            connection, work, state.caches, state.signer, shown.terms, state.clock(), shown.certificate
        )
        body = await quick.attempt(way.quick, stage, machine_id, message)
        if body is None:
            work.request = call.info()
            async with connection.transaction():
                body = await way.locked(stage, machine_id, message)
                await work.finish()
    if isinstance(message, PreflightRequest) and isinstance(body, bytes):
        return state.batch_caps.apply(machine_id, body, state.clock())
    return body


async def _report(call: Call, shown: Shown, content: Content) -> bytes:
    """Store what a Mac reports beside its syncs; each statement is a separate transaction."""
    state, machine_id, now = call.state, call.machine_id, call.state.clock()
    if call.stage == "metrics":
        await _metrics(call, shown, content)
        return EMPTY
    parse = parse_binary_upload if content.form is Form.PROTOBUF else parse_upload
    work = partial(parse, content.plain, machine_id, now)
    upload = work() if len(content.plain) <= FIRST_PIECE else await state.limits.body_worker.run(work)

    async def enroll() -> None:
        await _enroll(call, shown, now)

    async with state.database.statements() as connection:
        intake = Intake(connection, state.programs, shown.credential, enroll, state.news, now)
        return await event_upload(intake, machine_id, upload)


async def _metrics(call: Call, shown: Shown, content: Content) -> None:
    """Accept an agent's telemetry of a Mac, without reading or storing it."""
    async with call.state.database.statements() as connection:
        await identity.check_known(connection, call.machine_id, shown.credential)
    log.debug("%s reported %d bytes of metrics", call.machine_id, len(content.plain))


async def _enroll(call: Call, shown: Shown, now: datetime) -> None:
    """Enroll a Mac that uploads events before its first sync; refuse one that shows another's credential."""
    state, machine_id = call.state, call.machine_id
    admission.check_certificate(shown.terms, certificate_in(call.fields), "")
    async with state.database.transaction(state.bus.publish) as (connection, outbox):
        work = UnitOfWork(connection, call.info(), outbox)
        await identity.enroll(work, machine_id, shown.terms, shown.credential, "", now)
        await identity.check_known(connection, machine_id, shown.credential)
        await work.finish()


def _count(call: Call, refused: SecretRefused) -> None:
    """Count a refused secret; log it, but not for each request of a Mac."""
    state, now, address = call.state, call.state.clock(), call.address or "an unknown address"
    state.refused_secrets.count(refused, call.machine_id, address, now)
    if state.refused_credentials.due(call.machine_id, now):
        log.warning(
            "refused %s of %s from %s, which came with a secret of enrollment %d. %s",
            call.stage,
            call.machine_id,
            address,
            refused.enrollment,
            refused.detail,
        )


async def _tell(call: Call, refused: CredentialRefused, shown: Shown) -> None:
    state, now = call.state, call.state.clock()
    if state.refused_credentials.due(refused.machine, now):
        async with state.database.statements() as connection:
            await refusals.tell(connection, refused, (call.machine_id, call.stage), shown.credential, now)


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
