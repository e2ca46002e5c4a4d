"""Santa's stages over HTTP: `/api/santa/{stage}/{machine_id}`, the secret optionally in the path.

Only 200 is success to a client, 403 means "fetch an XSRF token" to it, and 4xx other than 408 and
429 end its sync: so nothing here answers 201, 204 or 403.
"""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from santaserver.enrollment import admission
from santaserver.enrollment.admission import Enrollment, Proof
from santaserver.enrollment.secrets import shown_secret
from santaserver.errors import AnswerProblems, BadRequest, CatchCrashes, NotFound
from santaserver.events.ingest import Intake, event_upload
from santaserver.events.parse import parse_binary_upload, parse_upload
from santaserver.state import AppState
from santaserver.sync import protobuf, repository, service
from santaserver.sync.answers import answer
from santaserver.sync.body import Form, decompress, form_of, received
from santaserver.sync.service import Stage
from santaserver.sync.wire import (
    MessageT,
    PostflightRequest,
    PreflightRequest,
    RuleDownloadRequest,
    parse_object,
    read,
)

log = logging.getLogger(__name__)

PREFIX = "/api/santa"
DOCTOR = "santactl-doctor-test"
"""The id that `santactl doctor` probes with: answered, but no machine."""
MAX_ID = 1000
EMPTY = b"{}"


@dataclass(frozen=True)
class Content:
    """A request's body and how it is written."""

    form: Form
    encoding: str
    sent: bytes

    def plain(self) -> bytes:
        """Return the body without its content encoding."""
        return decompress(self.sent, self.encoding)

    def message(self, kind: type[MessageT]) -> MessageT:
        """Return the message in the body."""
        if self.form is Form.PROTOBUF:
            return protobuf.read(self.plain(), kind)
        return read(parse_object(self.plain()), kind)


async def _preflight(stage: Stage, machine_id: str, content: Content) -> bytes:
    request = content.message(PreflightRequest)
    admission.check_serial(stage.enrollment, request.serial_number)
    return await service.preflight(stage, machine_id, request)


async def _rule_download(stage: Stage, machine_id: str, content: Content) -> bytes:
    return await service.rule_download(stage, machine_id, content.message(RuleDownloadRequest))


async def _postflight(stage: Stage, machine_id: str, content: Content) -> bytes:
    return await service.postflight(stage, machine_id, content.message(PostflightRequest))


SYNC_STAGES: dict[str, Callable[[Stage, str, Content], Awaitable[bytes]]] = {
    "preflight": _preflight,
    "ruledownload": _rule_download,
    "postflight": _postflight,
}


async def handle_stage(request: Request) -> Response:
    """Receive the body, then run the stage when there is a free place for it."""
    state: AppState = request.app.state.santa
    name, machine_id = _path(request)
    form = form_of(request.headers)
    async with received(request, state.limits.bodies) as sent:
        content = Content(form, request.headers.get("content-encoding", ""), sent)
        if machine_id == DOCTOR or name in SYNC_STAGES:
            async with state.limits.syncs.seat():
                body = await _sync(state, request, name, machine_id, content)
        elif name in {"eventupload", "metrics"}:
            async with state.limits.events.seat():
                body = await _report(state, request, name, machine_id, content)
        else:
            raise NotFound(f"There is no stage {name!r} in this version of the protocol")
    return answer(name, form, body, request.headers)


async def handle_xsrf(request: Request) -> Response:
    """Hand out a token for a client that was told 403 by something in between; none is ever required."""
    state: AppState = request.app.state.santa
    _, machine_id = _path(request)
    key = state.settings.security.secret_key.encode()
    token = hmac.new(key, b"xsrf\0" + machine_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return Response(b"", media_type="application/json", headers={"X-XSRF-TOKEN": token})


async def _sync(state: AppState, request: Request, name: str, machine_id: str, content: Content) -> bytes:
    """Run a stage of a sync in one transaction."""
    now = state.clock()
    async with state.database.transaction(state.bus.publish) as (connection, outbox):
        required = state.settings.enrollment_required
        enrolled = await admission.authorise(connection, state.enrollments, _proof(request), required, now)
        if machine_id == DOCTOR:
            return EMPTY
        stage = Stage(connection, outbox, state.caches, state.signer, enrolled, now)
        return await SYNC_STAGES[name](stage, machine_id, content)


async def _report(state: AppState, request: Request, name: str, machine_id: str, content: Content) -> bytes:
    """Take what a Mac reports beside its syncs; each statement is a transaction of its own."""
    now = state.clock()
    async with state.database.statements() as connection:
        required = state.settings.enrollment_required
        enrolled = await admission.authorise(connection, state.enrollments, _proof(request), required, now)
        if name == "metrics":
            _metrics(machine_id, content)
            return EMPTY

        async def enrol() -> None:
            await _enrol(state, enrolled, machine_id, now)

        parse = parse_binary_upload if content.form is Form.PROTOBUF else parse_upload
        upload = parse(content.plain(), machine_id, now)
        intake = Intake(connection, state.programs, enrol, state.news, now)
        body, news = await event_upload(intake, machine_id, upload)
    state.bus.publish(news)
    return body


def _proof(request: Request) -> Proof:
    # Only santa-proxy sets the header: it takes it away from what clients send.
    secret = shown_secret(request.headers, request.path_params.get("secret"))
    return Proof(secret, "client-cert" in request.headers)


def _metrics(machine_id: str, content: Content) -> None:
    """Accept what an agent measured; nothing is kept of it."""
    plain = content.plain()
    if content.form is Form.JSON and log.isEnabledFor(logging.DEBUG):
        log.debug("%s reported %d metrics", machine_id, len(parse_object(plain).get("metrics") or ()))


async def _enrol(state: AppState, enrolled: Enrollment | None, machine_id: str, now: datetime) -> None:
    async with state.database.transaction(state.bus.publish) as (connection, _):
        await admission.admit(connection, enrolled, "")
        await repository.create_machine(connection, machine_id, enrolled.id if enrolled else None, now)


def _path(request: Request) -> tuple[str, str]:
    machine_id: str = request.path_params["machine_id"]
    if not machine_id or "\0" in machine_id or len(machine_id) > MAX_ID or not _storable(machine_id):
        raise BadRequest(f"A machine id has 1 to {MAX_ID} characters")
    return request.path_params.get("stage", "xsrf"), machine_id


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Stages:
    """ASGI middleware: answers Santa itself and passes everything else on.

    The stages are most of what a server does; what the REST interface needs around its endpoints
    would cost each of them a fifth of its time.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app
        self.stages = CatchCrashes(AnswerProblems(Router(_routes())))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        ours = scope["type"] == "http" and scope["path"].startswith(PREFIX + "/")
        await (self.stages if ours else self.app)(scope, receive, send)


def _routes() -> list[BaseRoute]:
    """Return the protocol's routes; machine ids may contain anything, even slashes."""
    bases = (f"{PREFIX}/e/{{secret}}", PREFIX)
    handlers = (("/xsrf/{machine_id:path}", handle_xsrf), ("/{stage}/{machine_id:path}", handle_stage))
    return [Route(base + path, handler, methods=["POST"]) for base in bases for path, handler in handlers]
