"""The file inside of an import's body: a JSON string that is decoded piece by piece, never as a whole.

Python keeps a text in one, two or four bytes a character, whatever its largest character needs: one
emoji makes a file of 16 MiB a text of 64.
"""

import json
from collections.abc import Iterator

from santaserver.errors import wrong_field

PIECE = 64 * 1024
"""Bytes that are decoded at a time."""
MAX_CUT_OFF = len(rb"\uD83D\uDE0")
"""Bytes at the end of a piece that may belong to the first character of the next one."""
UNREADABLE = "The file's text has characters that cannot be read or stored; it has to be UTF-8"


class FileText:
    """The text of a file; `source` is a JSON string with its quotes."""

    def __init__(self, source: memoryview) -> None:
        """Keep the string as it came."""
        self._source = source

    def pieces(self) -> Iterator[str]:
        """Yield the text; raise `Unprocessable` when it is none that could be stored."""
        place, end = 1, len(self._source) - 1
        while place < end:
            text, size = _decoded(bytes(self._source[place : min(place + PIECE, end)]))
            place += size
            yield text


def _decoded(piece: bytes) -> tuple[str, int]:
    """Decode a piece but for what is cut off at its end; return the text and how many bytes it took.

    A part of a JSON string that can be read on its own means the same there.
    """
    for size in range(len(piece), max(len(piece) - MAX_CUT_OFF - 1, 0), -1):
        try:
            text: str = json.loads(b'"%b"' % piece[:size])
            text.encode()
        except ValueError:
            continue
        return text, size
    raise wrong_field("content", UNREADABLE)
