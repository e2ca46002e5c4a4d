"""The paging cursor of a rule download: signed, stateless, so that a repeated request gets the same page."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import astuple, dataclass

TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page of a session begins."""

    session: int
    offset: int
    """Rules in the pages before."""


class CursorSigner:
    """Writes and reads cursors with one key."""

    def __init__(self, secret: str) -> None:
        """Derive the key from the server's secret; all workers share it."""
        self._key = hashlib.sha256(b"santaserver rule cursor\0" + secret.encode()).digest()

    def encode(self, cursor: Cursor) -> str:
        """Return the text for the client, which hands it back unread."""
        content = json.dumps(astuple(cursor), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(content) + content).decode()

    def decode(self, text: str) -> Cursor | None:
        """Return the cursor, or None when this server did not write it."""
        try:
            signed = base64.urlsafe_b64decode(text.encode("ascii", "replace"))
        except (ValueError, binascii.Error):
            return None
        tag, content = signed[:TAG_BYTES], signed[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(content)):
            return None
        return Cursor(*json.loads(content))

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:TAG_BYTES]
