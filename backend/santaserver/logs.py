"""Log lines: one JSON object each on standard output. The supervisor adds the service's name.

error: an operator should act; warning: an operator should know; info: milestones. Never secrets or bodies:
messages and tracebacks are redacted, uncaught ones as well. What is logged while a request is handled has its
`request_id`, as santa-proxy's line about it, and the `trace_id` if it belongs to a trace.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from santaserver.redaction import Redactor

log = logging.getLogger(__name__)

QUIET = ("uvicorn.error", "websockets", "asyncio")
"""Libraries whose info lines say nothing an operator needs."""
MAX_REQUEST_ID = 128
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII)

current_request: ContextVar[Mapping[str, Any] | None] = ContextVar("current_request", default=None)
"""The ASGI scope of the request under way, whose fields are looked at only when something is logged."""


class JsonFormatter(logging.Formatter):
    """Writes a record as a JSON object."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Keep the values that must never be shown."""
        super().__init__()
        self._redact = Redactor(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide these values from now on as well."""
        self._redact.learn(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "ts": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        line.update((name, self._redact(value)) for name, value in _of_request(current_request.get()))
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        text = json.dumps(line, ensure_ascii=False, default=str)
        return text.encode("utf-8", "backslashreplace").decode()


def configure(level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send what is of `level` or above to `stream`, else to standard output, without the `secrets`."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _of_request(scope: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Return what identifies a request."""
    if scope is None:
        return
    fields = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
    if request_id := fields.get(b"x-request-id"):
        yield "request_id", request_id[:MAX_REQUEST_ID]
    if trace := TRACE_PARENT.fullmatch(fields.get(b"traceparent", "")):
        yield "trace_id", trace[1]


def hide(secrets: Iterable[str]) -> None:
    """Keep further values out of the log: secrets that were rotated."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.formatter.hide(secrets)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends this process: the interpreter would print it unredacted."""
    if issubclass(kind, KeyboardInterrupt):
        return
    log.error("terminated by an unhandled exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        _log_uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
