"""The WebSocket `/api/v1/live`: who may open it, and the loop that feeds it."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from santaserver.authorization import checked
from santaserver.errors import Problem
from santaserver.live.messages import Hello
from santaserver.live.narrowed import Narrowed
from santaserver.live.requests import BAD_MESSAGE, BadMessageError, Requests
from santaserver.live.subscriber import Lost, Notification, Subscriber
from santaserver.outbox import changed_in_bulk, message
from santaserver.permissions import Permission
from santaserver.routing import AreaRouter
from santaserver.session_cookie import read_session_cookie
from santaserver.state import AppState
from santaserver.users.origin import same_origin

log = logging.getLogger(__name__)

Refusal = tuple[int, str]
"""(code, reason)"""


@dataclass(frozen=True, slots=True)
class Admission:
    """What an open socket may hear, true as long as no session and no role changes."""

    hears_all: bool
    """Otherwise only that something changed: the user has a permission for some tags only."""
    generation: int


router = AreaRouter()

NOT_LOGGED_IN = 4401
NOT_PERMITTED = 4403
FOREIGN_ORIGIN = 4403
TRY_AGAIN = 1013
FAILED = 1011
LONGEST_ABSENCE = 3600.0
"""Seconds; after a longer absence a browser reloads."""
RECHECK = 0.5
"""Seconds between two checks of an open socket's session. They cost no query while notifications of ended
sessions arrive (users/session_watch.py).
"""
UNCHECKED = 60.0
"""Seconds that a socket stays open while sessions cannot be looked up."""


@router.websocket("/live", dependencies=[checked(Permission.LIVE_READ)])
async def live(websocket: WebSocket, ago: str | None = None) -> None:
    """Accept, then close with a code that says why, or feed until either side leaves.

    `ago` says how many seconds back to begin. It is text, so that no value of it refuses the socket.
    """
    state: AppState = websocket.app.state.santa
    await websocket.accept()
    if not same_origin(websocket.headers, state.settings.server.public_url):
        await websocket.close(FOREIGN_ORIGIN, "This page is not the console")
        return
    subscriber = state.bus.subscribe(_absence(ago))
    greeted = asyncio.Event()
    feeder = asyncio.create_task(_feed(websocket, state, subscriber, greeted))
    reader = asyncio.create_task(_read(websocket, state, subscriber, greeted))
    try:
        await asyncio.wait({feeder, reader}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        state.bus.unsubscribe(subscriber)
        for task in (feeder, reader):
            task.cancel()
        await asyncio.gather(feeder, reader, return_exceptions=True)
        await _close(websocket, feeder, reader)


def _absence(text: str | None) -> float | None:
    """Return how many seconds a browser was disconnected; without `ago` it gets only new messages."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return LONGEST_ABSENCE
    return seconds if 0 <= seconds <= LONGEST_ABSENCE else LONGEST_ABSENCE


async def _close(websocket: WebSocket, *tasks: asyncio.Task[None]) -> None:
    """End a socket whose task failed with a code: the browser then knows that it has to come back."""
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    if not errors or websocket.application_state is not WebSocketState.CONNECTED:
        return
    error = errors[0]
    code, reason = FAILED, "Internal error; see the server log"
    if isinstance(error, BadMessageError):
        code, reason = error.code, error.reason
    else:
        log.error("a live connection failed", exc_info=error)
    with suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close(code, reason)


async def _read(
    websocket: WebSocket, state: AppState, subscriber: Subscriber, greeted: asyncio.Event
) -> None:
    """Follow what the browser says it shows, until it leaves or says something else."""
    requests = Requests()
    loop = asyncio.get_running_loop()
    while True:
        frame = await websocket.receive()
        if frame["type"] == "websocket.disconnect":
            return
        if not greeted.is_set():
            raise BadMessageError(BAD_MESSAGE, "Wait for `hello` before sending anything")
        watch = requests.read(frame.get("text"), loop.time())
        state.bus.watch(subscriber, watch.machines, events="events" in watch.topics, ago=watch.ago)


async def _feed(
    websocket: WebSocket, state: AppState, subscriber: Subscriber, greeted: asyncio.Event
) -> None:
    with suppress(WebSocketDisconnect):
        admitted = await _admission(websocket, state)
        if isinstance(admitted, Admission):
            greeted.set()  # before it is sent: the answer may come while this task waits
            await websocket.send_json(message(Hello(at=state.clock(), process=state.bus.process)))
            admitted = await _send_news(websocket, state, subscriber, admitted)
        await websocket.close(*admitted)


async def _send_news(
    websocket: WebSocket, state: AppState, subscriber: Subscriber, admission: Admission
) -> Refusal:
    """Send messages until the session ends; return why.

    The session is looked up again before a message when a session or role has changed since, and regularly.
    """
    narrowed = Narrowed()
    loop = asyncio.get_running_loop()
    checked_at = loop.time()
    recheck_at = checked_at + RECHECK
    while True:
        news = await _next(subscriber, recheck_at)
        if loop.time() >= recheck_at or state.sessions.generation != admission.generation:
            admitted = await _admission(websocket, state)
            if isinstance(admitted, Admission):
                checked_at, admission = loop.time(), admitted
            elif admitted[0] != TRY_AGAIN or loop.time() - checked_at >= UNCHECKED:
                return admitted
            recheck_at = loop.time() + RECHECK
        if news is not None and not admission.hears_all:
            narrowed.heard()
        elif isinstance(news, Lost):
            await websocket.send_json(changed_in_bulk(state.clock(), news.messages))
        elif news is not None:
            await websocket.send_text(news.text)
        if narrowed.due(loop.time()):
            await websocket.send_json(changed_in_bulk(state.clock()))


async def _next(subscriber: Subscriber, until: float) -> Notification | Lost | None:
    """Return the next message; None when there is none until then."""
    try:
        async with asyncio.timeout_at(until):
            return await subscriber.next()
    except TimeoutError:
        return None


async def _admission(websocket: WebSocket, state: AppState) -> Admission | Refusal:
    """Return what the user may hear, or the code and the reason to close with."""
    token = read_session_cookie(websocket.cookies, state.settings)
    generation = state.sessions.generation
    try:
        user = await state.sessions.user_of(token, state.clock(), in_use=False)
    except Problem as problem:
        return TRY_AGAIN, problem.detail
    if user is None:
        return NOT_LOGGED_IN, "Log in first"
    if user.scope_of(Permission.LIVE_READ) is None:
        return NOT_PERMITTED, "None of your roles includes live:read"
    return Admission(hears_all=not user.scopes, generation=generation)
