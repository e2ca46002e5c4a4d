"""The paging cursor of a rule download: signed, stateless, so that a repeated request gets the same page."""

import base64
import binascii
import hmac
import json
from typing import NamedTuple

from santaserver.secret_keys import SecretKeys

TAG_BYTES = 16
PURPOSE = "rule cursor 2"
"""The number stands for the order of a session's rules: a cursor of another order would skip some."""


class Cursor(NamedTuple):
    """Where the next page of a session begins."""

    session: int
    offset: int
    """Rules in the pages before."""


class CursorSigner:
    """Writes cursors with the present key; reads those of the keys before it too."""

    def __init__(self, keys: SecretKeys) -> None:
        """Derive the keys from the server's secrets; all workers share them."""
        self._key = keys.current(PURPOSE)
        self._accepted = keys.accepted(PURPOSE)

    def encode(self, cursor: Cursor) -> str:
        """Return the text for the client, which hands it back unread."""
        content = json.dumps(cursor, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_tag(self._key, content) + content).decode()

    def decode(self, text: str) -> Cursor | None:
        """Return the cursor, or None when this server did not write it."""
        try:
            signed = base64.urlsafe_b64decode(text.encode("ascii", "replace"))
        except (ValueError, binascii.Error):
            return None
        tag, content = signed[:TAG_BYTES], signed[TAG_BYTES:]
        if not any(hmac.compare_digest(tag, _tag(key, content)) for key in self._accepted):
            return None
        return Cursor(*json.loads(content))


def _tag(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:TAG_BYTES]
