"""The lines of an export: one for each entry, and a last one with the log's size and root."""

from collections.abc import AsyncGenerator

import msgspec

from santaserver.audit_log import repository
from santaserver.db import Connection

PORTION = 500

_encode = msgspec.json.Encoder().encode


async def lines(connection: Connection) -> AsyncGenerator[bytes, None]:
    """Yield an export in portions; the connection has to be in a transaction."""
    tree = await repository.read_tree(connection)
    cursor = await repository.exported(connection, tree.size)
    while rows := await cursor.fetch(PORTION):
        yield b"".join(_line(row) for row in rows)
    yield _encode({"size": tree.size, "root": tree.root().hex()}) + b"\n"


def _line(row: tuple[int, str, bytes, bytes | None, str | None]) -> bytes:
    seq, entry, root, salt, details = row
    line = {
        "seq": seq,
        "entry": entry,
        "salt": None if salt is None else salt.hex(),
        "details": details,
        "root": root.hex(),
    }
    return _encode(line) + b"\n"
