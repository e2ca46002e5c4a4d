"""Request bodies: encodings and limits."""

import gzip
import tracemalloc
import zlib

import pytest

from santaserver.errors import BadRequest, TooLarge, UnsupportedMedia
from santaserver.sync.body import MAX_PLAIN, decompress

PLAIN = b'{"serial_num":"X"}'
RAW_DEFLATE = zlib.compress(PLAIN, wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("deflate", zlib.compress(PLAIN)),
        ("zlib", zlib.compress(PLAIN)),
        ("deflate", RAW_DEFLATE),
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        ("GZIP", gzip.compress(PLAIN, mtime=0)),
        ("", PLAIN),
        ("identity", PLAIN),
        ("none", PLAIN),
        ("deflate", b""),
    ],
)
def test_every_encoding_a_client_uses_is_read(encoding: str, body: bytes) -> None:
    assert decompress(body, encoding) == (PLAIN if body else b"")


@pytest.mark.parametrize(
    ("encoding", "body", "problem"),
    [
        ("br", PLAIN, UnsupportedMedia),
        ("gzip", PLAIN, BadRequest),
        ("deflate", b"\xff\xff\xff", BadRequest),
        ("gzip", gzip.compress(PLAIN, mtime=0)[:-9], BadRequest),
        ("deflate", zlib.compress(b"\0" * (MAX_PLAIN + 1)), TooLarge),
    ],
)
def test_what_cannot_be_read_is_named(encoding: str, body: bytes, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        decompress(body, encoding)


def test_a_bomb_is_refused_in_bounded_memory() -> None:
    bomb = zlib.compress(b"\0" * 200_000_000, 9)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(bomb, "deflate")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_PLAIN
