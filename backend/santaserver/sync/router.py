"""Santa's stages over HTTP: `/api/santa/{stage}/{machine_id}`, the secret optionally in the path.

Only 200 is success to a client, 403 means "fetch an XSRF token" to it, and 4xx other than 408 and
429 end its sync: so nothing here answers 201, 204 or 403.
"""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from santaserver.errors import BadRequest, NotFound
from santaserver.events import ingest
from santaserver.state import AppState
from santaserver.sync import enrollment, service
from santaserver.sync.body import read_body
from santaserver.sync.service import Stage
from santaserver.sync.wire import PostflightRequest, PreflightRequest, RuleDownloadRequest, parse_object, read

log = logging.getLogger(__name__)

PREFIX = "/api/santa"
DOCTOR = "santactl-doctor-test"
"""The id that `santactl doctor` probes with: answered, but no machine."""
MAX_ID = 1000

StageHandler = Callable[[Stage, str, bytes], Awaitable[bytes]]


async def _preflight(stage: Stage, machine_id: str, body: bytes) -> bytes:
    return await service.preflight(stage, machine_id, read(parse_object(body), PreflightRequest))


async def _event_upload(stage: Stage, machine_id: str, body: bytes) -> bytes:
    return await ingest.event_upload(stage, machine_id, parse_object(body))


async def _rule_download(stage: Stage, machine_id: str, body: bytes) -> bytes:
    return await service.rule_download(stage, machine_id, read(parse_object(body), RuleDownloadRequest))


async def _postflight(stage: Stage, machine_id: str, body: bytes) -> bytes:
    return await service.postflight(stage, machine_id, read(parse_object(body), PostflightRequest))


async def _metrics(_: Stage, machine_id: str, body: bytes) -> bytes:
    count = len(parse_object(body).get("metrics") or ())
    log.debug("%s reported %d metrics", machine_id, count)
    return b"{}"


STAGES: dict[str, StageHandler] = {
    "preflight": _preflight,
    "eventupload": _event_upload,
    "ruledownload": _rule_download,
    "postflight": _postflight,
    "metrics": _metrics,
}


async def handle_stage(request: Request) -> Response:
    """Check the secret, read the body, run the stage in one transaction."""
    state: AppState = request.app.state.santa
    name, machine_id = _path(request)
    handler = STAGES.get(name)
    if handler is None:
        raise NotFound(f"There is no stage {name!r} in this version of the protocol")
    body = await read_body(request)
    now = state.clock()
    secret = enrollment.shown_secret(request.headers, request.path_params.get("secret"))
    async with state.database.transaction(state.bus.publish) as (connection, outbox):
        enrolled = await enrollment.authorise(connection, secret, state.settings.enrollment_required, now)
        if machine_id == DOCTOR:
            answer = b"{}"
        else:
            stage = Stage(connection, outbox, state.caches, state.signer, enrolled, now)
            answer = await handler(stage, machine_id, body)
    return Response(answer, media_type="application/json")


async def handle_xsrf(request: Request) -> Response:
    """Hand out a token for a client that was told 403 by something in between; none is ever required."""
    state: AppState = request.app.state.santa
    _, machine_id = _path(request)
    key = state.settings.security.secret_key.encode()
    token = hmac.new(key, b"xsrf\0" + machine_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return Response(b"", media_type="application/json", headers={"X-XSRF-TOKEN": token})


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


def routes() -> list[BaseRoute]:
    """Return the protocol's routes; machine ids may contain anything, even slashes."""
    bases = (f"{PREFIX}/e/{{secret}}", PREFIX)
    handlers = (("/xsrf/{machine_id:path}", handle_xsrf), ("/{stage}/{machine_id:path}", handle_stage))
    return [Route(base + path, handler, methods=["POST"]) for base in bases for path, handler in handlers]
