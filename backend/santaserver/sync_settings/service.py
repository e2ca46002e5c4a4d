"""Reads and replaces synced settings; each difference is an entry of the policy log."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import FieldProblem, Unprocessable
from santaserver.policy_head import lock_policy, next_seq, settings_changed
from santaserver.sync_settings import repository
from santaserver.sync_settings.schemas import SyncSettings
from santaserver.users.repository import audit
from santaserver.users.schemas import User


async def get_settings(session: AsyncSession) -> SyncSettings:
    """Return the settings of the global layer."""
    return SyncSettings.model_validate(await repository.open_settings(session))


async def replace_settings(
    session: AsyncSession, settings: SyncSettings, user: User | None, now: datetime
) -> SyncSettings:
    """Store what differs; without a difference no number is used."""
    wanted = settings.model_dump(mode="json")
    _check(wanted)
    await lock_policy(session)
    before = await get_settings(session)
    changed = _difference(before, wanted)
    if changed:
        seq = await next_seq(session)
        await settings_changed(session, seq)
        await repository.replace(session, changed, seq, user.id if user else None, now)
        actor = (user.id, user.username) if user else (None, "system")
        old = before.model_dump(mode="json")
        audit(
            session,
            actor,
            now,
            "settings_changed",
            ("layer", "global"),
            {key: old[key] for key in changed},
            changed,
            seq,
        )
    return settings


def _difference(before: SyncSettings, wanted: dict[str, Any]) -> dict[str, Any]:
    old = before.model_dump(mode="json")
    return {key: value for key, value in wanted.items() if old[key] != value}


def _check(wanted: dict[str, Any]) -> None:
    for field, value in wanted.items():
        if isinstance(value, str) and "\0" in value:
            message = "The text contains characters that cannot be stored"
            raise Unprocessable(message, errors=(FieldProblem(field=field, message=message),))
