"""Request bodies: encodings and limits."""

import gzip
import tracemalloc
import zlib

import pytest

from santaserver.bodies import MemoryBudget, Reservation
from santaserver.errors import BadRequest, Overloaded, TooLarge, UnsupportedMedia
from santaserver.protocol.body import FREE_PLAIN, MAX_RATIO, MAX_UPLOAD, Inflater, encoding_of
from santaserver.protocol.body import PLAIN as NOT_CODED

PLAIN = b'{"serial_num":"X"}'
LIMIT = MAX_UPLOAD
RAW_DEFLATE = zlib.compress(PLAIN, wbits=-15)


def decompress(body: bytes, encoding: str, room: int = 2 * LIMIT) -> bytes:
    """As the router does it; nothing may be held of the budget afterwards."""
    name, budget = encoding_of({"content-encoding": encoding}), MemoryBudget("bodies", room)
    try:
        with Reservation(budget) as hold:
            if name in NOT_CODED or not body:
                return body
            return Inflater(body, name, LIMIT, hold).rest()
    finally:
        budget.take(room)


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
        ("deflate", zlib.compress(bytes(range(256)) * (LIMIT // 256) + b"\0"), TooLarge),
        ("deflate", zlib.compress(b"[]," * FREE_PLAIN), TooLarge),
        ("gzip", gzip.compress(b"{}," * FREE_PLAIN), TooLarge),
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
    assert peak < 3 * LIMIT


def test_what_comes_out_of_a_body_counts_against_the_budget() -> None:
    body = zlib.compress(bytes(range(256)) * 8192, 0)
    assert len(decompress(body, "deflate")) == 2 * 1024 * 1024
    with pytest.raises(Overloaded):
        decompress(body, "deflate", room=1024 * 1024 + 1)


def test_a_batch_of_equal_events_may_be_compressed_as_well_as_it_is() -> None:
    event = b'{"execution_time":%d.5,"pid":%d,' + b'"x":"' + bytes(range(97, 123)) * 1040 + b'"}'
    batch = b",".join(event % (1_763_900_000 + number * 7, number * 31) for number in range(500))
    body = zlib.compress(batch, 9)
    assert len(batch) / len(body) > MAX_RATIO
    assert decompress(body, "deflate") == batch
