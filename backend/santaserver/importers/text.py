"""The text of a file: decoded, with line feeds only, and the place of every character."""

import codecs
from array import array
from bisect import bisect_left

from santaserver.importers.model import Place, Unreadable

WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
LOOKED_AT = 64
"""Bytes at the beginning that show UTF-16 without a byte order mark."""


class Text:
    """The text; offsets are indexes into `content`."""

    def __init__(self, content: str, file: str = "") -> None:
        """Take a text whose lines end with line feeds."""
        self.content = content
        self.file = file
        self._ends: array[int] | None = None

    def place(self, offset: int) -> Place:
        """Return line and column of a character."""
        if self._ends is None:
            self._ends = _line_ends(self.content)
        line = bisect_left(self._ends, offset)
        start = self._ends[line - 1] + 1 if line else 0
        return Place(line + 1, offset - start + 1, self.file)


def decode(data: bytes, file: str = "") -> Text:
    """Return the text of a file; raise `Unreadable` when it is not UTF-8."""
    refuse_wide(data, file)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().replace("\r\n", "\n").replace("\r", "\n")
        place = Text(before, file).place(len(before))
        message = "This is not UTF-8 from here on. Save the file as UTF-8 and import it again"
        raise Unreadable("encoding", message, place) from error
    return Text(content.replace("\r\n", "\n").replace("\r", "\n"), file)


def refuse_wide(data: bytes, file: str = "") -> None:
    """Raise `Unreadable` for UTF-16 and UTF-32, with a byte order mark or without."""
    for mark, name in WIDE:
        if data.startswith(mark):
            raise _wrong_encoding(name, file)
    head = data[:LOOKED_AT]
    if head[1::2].count(0) > len(head) // 4 or head[::2].count(0) > len(head) // 4:
        raise _wrong_encoding("UTF-16", file)


def _wrong_encoding(name: str, file: str) -> Unreadable:
    return Unreadable(
        "encoding", f"The file is {name}. Save it as UTF-8 and import it again", Place(1, 1, file)
    )


def _line_ends(content: str) -> "array[int]":
    ends = array("L")
    at = content.find("\n")
    while at >= 0:
        ends.append(at)
        at = content.find("\n", at + 1)
    return ends
