"""Reads a request body: size limits, content encodings, content type. Independent of stages.

All memory for bodies counts against one budget of the process: the received bytes and the decompressed ones.
"""

import zlib
from collections.abc import Mapping
from enum import Enum
from io import BytesIO

from santaserver.bodies import Reservation
from santaserver.errors import BadRequest, TooLarge, UnsupportedMedia
from santaserver.protocol.json_text import values

MAX_UPLOAD = 16 * 1024 * 1024
"""Bytes of an event upload, both as it comes and after decompression."""
LARGEST_EVENT = 32 * 1024
"""Bytes of the largest event that an agent sends: 64 entitlements, some 30 kB."""
MAX_BATCH = MAX_UPLOAD // LARGEST_EVENT
"""Events that an agent may be told to upload at a time; a batch of the largest fits into an upload."""
MAX_STAGE = 1024 * 1024
"""Bytes of any other stage's body; a preflight may name some thousand groups."""

FREE_PLAIN = 1024 * 1024
"""Bytes up to which the compression ratio is not limited."""
MAX_RATIO = 100
"""Times that a longer body may grow if it holds many values. Deflate's own limit is 1,032."""
MAX_VALUES_OF_BOMB = 300_000
"""Values in a body that grows more: a batch of equal events may do that, a few bytes of brackets too."""
FIRST_PIECE = 256 * 1024
"""Bytes that are decompressed at once; what is longer is decompressed off the event loop."""
PIECE = 1024 * 1024

ZLIB = {"deflate", "zlib"}
"""What the client calls deflate is a zlib container; releases before 1.17 said zlib."""
GZIP = {"gzip", "x-gzip"}
PLAIN = {"", "identity", "none"}


class Form(Enum):
    """The encoding of messages; responses use the request's."""

    JSON = "application/json"
    PROTOBUF = "application/x-protobuf"


def form_of(fields: Mapping[str, str]) -> Form:
    """Return the form of a request; the doctor's probe names none."""
    named = fields.get("content-type", "").partition(";")[0].strip().lower()
    return Form.PROTOBUF if named in {Form.PROTOBUF.value, "application/protobuf"} else Form.JSON


def check_length(fields: Mapping[str, str], limit: int) -> None:
    """Refuse by its length a body that would be refused once it is here."""
    length = fields.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise TooLarge(too_large(limit))


def encoding_of(fields: Mapping[str, str]) -> str:
    """Return the content encoding; raise `UnsupportedMedia` for one that is not read here."""
    name = fields.get("content-encoding", "").strip().lower()
    if name not in ZLIB | GZIP | PLAIN:
        raise UnsupportedMedia(f"The content encoding {name!r} is not supported: use deflate, gzip or none")
    return name


def too_large(limit: int) -> str:
    """Return advice about a body that is larger than a limit."""
    return f"The body is larger than {limit} bytes: lower batch_size in the settings of this Mac's layers"


class Inflater:
    """Undoes a content encoding piece by piece, within a limit and a budget."""

    def __init__(self, body: bytes, encoding: str, limit: int, hold: Reservation) -> None:
        """Begin with a body that is not empty; `encoding` is one of those that are read here."""
        window = zlib.MAX_WBITS | 16
        if encoding in ZLIB:
            window = zlib.MAX_WBITS if body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
        self._name = encoding
        self._inflater = zlib.decompressobj(window)
        self._left = body
        self._limit = limit
        self._large = max(FREE_PLAIN, len(body) * MAX_RATIO)
        self._hold = hold
        self._plain = b""
        """What was decompressed, while that is one piece."""
        self._pieces: BytesIO | None = None

    def step(self, size: int) -> bool:
        """Decompress up to `size` further bytes; tell whether that was all."""
        try:
            piece = self._inflater.decompress(self._left, size)
        except zlib.error as error:
            raise BadRequest(f"The body is not {self._name}: {error}") from error
        self._hold.take(len(piece))
        self._left = self._inflater.unconsumed_tail
        if self._keep(piece) > self._limit:
            raise TooLarge(f"After decompression: {too_large(self._limit)}")
        if self._inflater.eof:
            return True
        if not self._left and len(piece) < size:
            raise BadRequest(f"The {self._name} body is truncated")
        return False

    def rest(self) -> bytes:
        """Decompress what is left; return the whole body."""
        while not self.step(PIECE):
            pass
        plain = self.whole()
        if len(plain) > self._large and values(plain) > MAX_VALUES_OF_BOMB:
            raise TooLarge(
                f"The body expands more than {MAX_RATIO} times when decompressed: lower batch_size"
            )
        return plain

    def whole(self) -> bytes:
        """Return what was decompressed."""
        return self._pieces.getvalue() if self._pieces else self._plain

    def _keep(self, piece: bytes) -> int:
        """Put a piece behind the others; return how many bytes there are."""
        if self._pieces is None:
            if not self._plain:
                self._plain = piece
                return len(piece)
            self._pieces = BytesIO()
            self._pieces.write(self._plain)
            self._plain = b""
        self._pieces.write(piece)
        return self._pieces.tell()
