"""Sends checkpoints out of the database owner's reach: to the log, a file and a web hook."""

import asyncio
import logging
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from santaserver.instruments import Counter
from santaserver.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT = 10.0
DELIVERIES = Counter(
    "audit_checkpoint_deliveries_total",
    "Checkpoints of the audit log sent to the file and the address that are set.",
    to=("file", "url"),
    outcome=("sent", "failed"),
)
REFUSED = 300
"""From this status on, the web hook did not take it; redirects are not followed."""
UNSIGNED = "unsigned: set AUDIT_KEY_FILE, so that others can tell that it is this server's"


async def send(note: str, settings: Settings) -> None:
    """Send a checkpoint everywhere; what fails is logged, and the next checkpoint covers this one too."""
    audit = settings.audit
    signed = "" if audit.key else f" ({UNSIGNED})"
    log.info("audit checkpoint%s: %s", signed, note.rstrip("\n").replace("\n", " | "))
    for to, where, act in (
        ("file", audit.checkpoint_file, _append),
        ("url", audit.checkpoint_url, _post),
    ):
        if where:
            try:
                await asyncio.to_thread(act, where, note)
                DELIVERIES.add(to, "sent")
            except (OSError, HTTPException) as error:
                DELIVERIES.add(to, "failed")
                kind = error.__class__.__name__
                log.error("the audit checkpoint could not be sent to %s: %s: %s", _shown(where), kind, error)  # noqa: TRY400


def _shown(where: str) -> str:
    """Return a destination as logs show it: the path of a URL may be a secret."""
    parts = urlsplit(where)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else where


def _append(path: str, note: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{note}\n")


def _post(url: str, note: str) -> None:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, note.encode(), {"Content-Type": "text/plain; charset=utf-8"})
        response = connection.getresponse()
    finally:
        connection.close()
    if response.status >= REFUSED:
        raise HTTPException(f"status {response.status} {response.reason}")
