"""Releases, retires, restores and deletes Macs: one, or as many as a list shows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from santaserver.audit import Target
from santaserver.current_user import User
from santaserver.enrollment.identity import described
from santaserver.errors import NotFound, PreconditionFailed, wrong_field
from santaserver.live.messages import MachineChange, MachineChanged
from santaserver.machines import fleet_repository as repository
from santaserver.machines.fleet_repository import FleetRow
from santaserver.machines.repository import ListFilter
from santaserver.machines.schemas import FleetAction, FleetOrder, FleetResult
from santaserver.outbox import message
from santaserver.policy.change import Change, policy_change
from santaserver.scope import Scope
from santaserver.unit_of_work import UnitOfWork

TOLD = 200
"""Macs of one order that open consoles are told of one by one."""

CHANGES: dict[FleetAction, MachineChange] = {
    "release": "credential_released",
    "withdraw_release": "credential_release_withdrawn",
    "retire": "retired",
    "restore": "restored",
    "delete": "deleted",
}
CONCERNED: dict[FleetAction, Callable[[FleetRow], bool]] = {
    "release": lambda row: row.retired_at is None and row.released_at is None,
    "withdraw_release": lambda row: row.released_at is not None,
    "retire": lambda row: row.retired_at is None,
    "restore": lambda row: row.retired_at is not None,
    "delete": lambda _: True,
}
"""Which machines an action changes; the others are already as they should be."""


async def order_one(
    work: UnitOfWork, scope: Scope, machine_id: str, action: FleetAction, user: User, now: datetime
) -> None:
    """Do something with one machine; a second time changes nothing."""
    known = await repository.named(work.connection, scope, [machine_id])
    if not known:
        raise NotFound("There is no such machine")
    await _apply(work, list(known.values()), action, "", user, now)


async def order_many(
    work: UnitOfWork, scope: Scope, order: FleetOrder, user: User, now: datetime
) -> FleetResult:
    """Do something with machines that are named, or that a filter matches; all of them or none."""
    ids = await _selected(work, scope, order)
    changed = await _apply(work, ids, order.action, order.reason.strip(), user, now)
    return FleetResult(action=order.action, matched=len(ids), changed=changed)


async def _selected(work: UnitOfWork, scope: Scope, order: FleetOrder) -> list[int]:
    if (order.machine_ids is None) == (order.filter is None):
        raise wrong_field("filter", "Name the machines by machine_ids or by a filter, one of the two")
    if order.filter is None:
        ids = await _named(work, scope, order.machine_ids or [])
    elif order.count is None:
        raise wrong_field("count", "A filter needs the number of machines that it is expected to match")
    else:
        wanted = ListFilter(order.filter.q, order.filter.retired, order.filter.withheld)
        ids = await repository.matching(work.connection, scope, wanted)
    if order.count is not None and order.count != len(ids):
        raise PreconditionFailed(
            f"{len(ids)} machines match now, not {order.count}; nothing was changed. Look at the list again"
        )
    return ids


async def _named(work: UnitOfWork, scope: Scope, machine_ids: Sequence[str]) -> list[int]:
    known = await repository.named(work.connection, scope, machine_ids)
    missing = [name for name in machine_ids if name not in known]
    if missing:
        raise NotFound(f"There is no machine {missing[0]!r}; nothing was changed")
    return list(known.values())


async def _apply(
    work: UnitOfWork, ids: Sequence[int], action: FleetAction, reason: str, user: User, now: datetime
) -> int:
    connection = work.connection
    rows = [row for row in await repository.lock(connection, ids) if CONCERNED[action](row)]
    numbers = [row.id for row in rows]
    number: int | None = None
    match action:
        case "release":
            await repository.release(connection, numbers, now)
        case "withdraw_release":
            await repository.release(connection, numbers, None)
        case _:
            async with policy_change(work, user.actor, now, "membership", reason) as change:
                await _move(change, rows, action)
                number = change.next_seq if change.numbered else None
    for row in rows:
        target: Target = ("machine", row.machine_id)
        work.audit(
            user.actor, now, f"machine_{CHANGES[action]}", target, _before(row), None, number, reason=reason
        )
    for row in rows[:TOLD]:
        told = MachineChanged(
            at=now, machine_id=row.machine_id, hostname=row.hostname, change=CHANGES[action]
        )
        work.outbox.add(message(told))
    return len(rows)


async def _move(change: Change, rows: Sequence[FleetRow], action: FleetAction) -> None:
    """Take machines out of the fleet or back into it, with the tags that they have or had."""
    numbers = [row.id for row in rows]
    if action == "restore":
        tagged = await repository.restore(change, numbers)
    else:
        tagged = await repository.retire(change, [row.id for row in rows if row.retired_at is None])
    if action == "delete":
        await repository.delete(change.connection, numbers, change.now)
    if tagged:
        change.sum_up(machines=len(rows), action=CHANGES[action])


def _before(row: FleetRow) -> dict[str, Any]:
    retired = row.retired_at
    return described(row.credential) | ({"retired_at": retired.isoformat()} if retired else {})
