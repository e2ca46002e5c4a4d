"""Two other implementations of the same server, which the benchmarks compare with SantaServer.

`ledger` stores every rule of every Mac and compares sets in SQL, on the same fast stack; `orm` is a typical
FastAPI project: SQLAlchemy entities, pydantic models, dependencies. Both serve the same four stages to
`santa-load fleet`. Neither has sessions, reasons, layers, protobuf or enrollment, which is to their
advantage.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from fastapi import FastAPI

from tests.bench.fleet import Size
from tests.bench.peers import ledger, orm


@dataclass(frozen=True)
class Peer:
    """One of them: its application and its database."""

    create_app: Callable[[str], FastAPI]
    fill: Callable[[asyncpg.Connection, Size], Awaitable[None]]
    measure: Callable[[asyncpg.Connection], Awaitable[dict[str, float]]]


PEERS = {
    "ledger": Peer(ledger.create_app, ledger.fill, ledger.measure),
    "orm": Peer(orm.create_app, orm.fill, orm.measure),
}
