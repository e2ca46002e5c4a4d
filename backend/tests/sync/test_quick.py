"""A sync without changes takes no lock; a change in between makes it start over."""

from typing import Any

import asyncpg
import pytest

from santaserver.sync import repository
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac, SyncError
from tests.support.server import RunningServer


def meanwhile(monkeypatch: pytest.MonkeyPatch, dsn: str, statement: str) -> None:
    """Have a statement come once between the reading of a machine without a lock and what follows."""
    find = repository.find_machine

    async def found(*args: Any) -> Any:  # noqa: ANN401 - passed on
        machine = await find(*args)
        monkeypatch.setattr(repository, "find_machine", find)
        other = await asyncpg.connect(dsn)
        await other.execute(statement)
        await other.close()
        return machine

    monkeypatch.setattr(repository, "find_machine", found)


def test_an_order_between_reading_and_writing_is_obeyed(
    server: RunningServer, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac.sync()
    meanwhile(monkeypatch, server.dsn, "update machine_sync set queued_clean = 'clean_all'")
    assert mac.post("preflight", mac.preflight_body())["sync_type"] == "CLEAN_ALL"


def test_a_postflight_does_not_confirm_a_sync_that_was_replaced_meanwhile(
    server: RunningServer, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac.sync()
    mac.post("preflight", mac.preflight_body())
    replaced = "update machine_sync set pending_session = pending_session + 1, pending_sent = null"
    meanwhile(monkeypatch, server.dsn, replaced)
    mac.post("postflight", mac.postflight_body("NORMAL", 0))
    assert value(server.dsn, "select pending_session from machine_sync") is not None


@pytest.mark.parametrize("stage", ["preflight", "postflight"])
@pytest.mark.parametrize(
    "change",
    [
        "delete from machine_sync; update machine set retired_at = now()",
        """update machine set enrollment_id = (select min(id) from enrollment);
           update machine_sync set pending_session = pending_session + 1""",
    ],
    ids=["retired", "moved"],
)
def test_what_changes_the_credential_between_reading_and_writing_counts(
    server: RunningServer, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch, stage: str, change: str
) -> None:
    mac.sync()
    bodies = {"preflight": mac.preflight_body(), "postflight": mac.postflight_body("NORMAL", 0)}
    mac.post("preflight", bodies["preflight"])
    meanwhile(monkeypatch, server.dsn, change)
    with pytest.raises(SyncError) as refused:
        mac.post(stage, bodies[stage])
    assert refused.value.status == 403


def test_a_steady_sync_locks_nothing(server: RunningServer, mac: SimulatedMac) -> None:
    """A row that was locked after its last change carries the number of who locked it."""
    mac.sync()
    mac.post("preflight", mac.preflight_body())
    assert mac.post("ruledownload", {}) == {"rules": []}
    assert value(server.dsn, "select xmax::text from machine_sync") == "0"
