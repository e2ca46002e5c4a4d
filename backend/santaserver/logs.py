"""Log lines: one JSON object each on standard output. The supervisor adds the service's name.

error: an operator should act; warning: an operator should know; info: milestones. Never secrets or bodies:
messages and tracebacks are redacted, uncaught ones as well.
"""

import json
import logging
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from santaserver.redaction import Redactor

log = logging.getLogger(__name__)

QUIET = ("uvicorn.error", "websockets", "asyncio")
"""Libraries whose info lines say nothing an operator needs."""


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
