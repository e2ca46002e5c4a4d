"""The WebSocket `/api/v1/live`: who may open it, and the loop that feeds it."""

import asyncio
import logging
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from santaserver.errors import Problem
from santaserver.live.bus import Subscriber
from santaserver.live.messages import Hello, Lagged, message
from santaserver.state import AppState
from santaserver.users.cookies import read_session_cookie
from santaserver.users.origin import same_origin

log = logging.getLogger(__name__)

router = APIRouter()

NOT_LOGGED_IN = 4401
FOREIGN_ORIGIN = 4403
TRY_AGAIN = 1013
FAILED = 1011
LONGEST_ABSENCE = 3600.0
"""Seconds; who was away for longer reads again."""
RECHECK = 60.0
"""Seconds after which an open socket's session is looked up again, so that a logout ends it."""


@router.websocket("/live")
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
    feeder = asyncio.create_task(_feed(websocket, state, subscriber))
    try:
        while not feeder.done():
            listener = asyncio.ensure_future(websocket.receive())
            done, _ = await asyncio.wait({feeder, listener}, return_when=asyncio.FIRST_COMPLETED)
            if listener not in done:
                listener.cancel()
            elif listener.result()["type"] == "websocket.disconnect":
                break
    finally:
        state.bus.unsubscribe(subscriber)
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)
        await _close(websocket, feeder)


def _absence(text: str | None) -> float | None:
    """Read for how many seconds a browser did not listen; one that does not say so wants the future only."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return LONGEST_ABSENCE
    return seconds if 0 <= seconds <= LONGEST_ABSENCE else LONGEST_ABSENCE


async def _close(websocket: WebSocket, feeder: asyncio.Task[None]) -> None:
    """End a socket whose feeder failed with a code: the browser then knows that it has to come back."""
    error = None if feeder.cancelled() else feeder.exception()
    if error is None or websocket.application_state is not WebSocketState.CONNECTED:
        return
    log.error("a live connection failed", exc_info=error)
    with suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close(FAILED, "Internal error; see the server log")


async def _feed(websocket: WebSocket, state: AppState, subscriber: Subscriber) -> None:
    loop = asyncio.get_running_loop()
    try:
        if await _refused(websocket, state):
            return
        await websocket.send_json(message(Hello(at=state.clock())))
        recheck_at = loop.time() + RECHECK
        while True:
            if loop.time() >= recheck_at:
                if await _refused(websocket, state):
                    return
                recheck_at = loop.time() + RECHECK
            try:
                async with asyncio.timeout_at(recheck_at):
                    news = await subscriber.next()
            except TimeoutError:
                continue
            await websocket.send_json(message(Lagged(at=state.clock())) if news is None else news)
    except WebSocketDisconnect:
        return


async def _refused(websocket: WebSocket, state: AppState) -> bool:
    token = read_session_cookie(websocket.cookies, state.settings)
    try:
        user = await state.sessions.user_of(token, state.clock(), in_use=False)
    except Problem as problem:
        await websocket.close(TRY_AGAIN, problem.detail)
        return True
    if user is None:
        await websocket.close(NOT_LOGGED_IN, "Log in first")
    return user is None
