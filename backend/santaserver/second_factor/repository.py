"""Second factors of accounts in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from santaserver.db import Connection, rows_of

ENROLLMENT_LASTS = timedelta(minutes=15)
"""How long a new authenticator app may take to show its first code."""


class Factors(NamedTuple):
    """What an account has beside its password."""

    totp_since: datetime | None
    passkeys: int
    recovery_codes: int

    @property
    def required(self) -> bool:
        """Whether a password alone is not enough."""
        return self.totp_since is not None or self.passkeys > 0


class Totp(NamedTuple):
    """The secret of an authenticator app, and the time step of the last code that was accepted."""

    sealed: bytes
    last_step: int


async def factors_of(connection: Connection, user_id: int) -> Factors:
    """Return what an account has."""
    row = await connection.fetchrow(
        """select (select created_at from totp_secret where user_id = $1),
             (select count(*) from passkey where user_id = $1),
             (select count(*) from recovery_code where user_id = $1)""",
        user_id,
    )
    return Factors(*row) if row else Factors(None, 0, 0)


async def store_enrollment(connection: Connection, user_id: int, sealed: bytes, now: datetime) -> None:
    """Store the secret of an app that has not shown a code yet; an earlier one is dropped."""
    await connection.execute(
        """insert into totp_enrollment (user_id, sealed, created_at) values ($1, $2, $3)
           on conflict (user_id) do update set sealed = excluded.sealed, created_at = excluded.created_at""",
        user_id,
        sealed,
        now,
    )


async def lock_enrollment(connection: Connection, user_id: int, now: datetime) -> bytes | None:
    """Return the secret of an app that has not shown a code yet."""
    sealed: bytes | None = await connection.fetchval(
        "select sealed from totp_enrollment where user_id = $1 and created_at > $2 for update",
        user_id,
        now - ENROLLMENT_LASTS,
    )
    return sealed


async def confirm_enrollment(connection: Connection, user_id: int, step: int, now: datetime) -> None:
    """Let the new app count from now on, instead of an earlier one; the code that it showed is used up."""
    await connection.execute(
        """with new as (delete from totp_enrollment where user_id = $1 returning sealed)
           insert into totp_secret (user_id, sealed, last_step, created_at) select $1, sealed, $2, $3 from new
           on conflict (user_id) do update set sealed = excluded.sealed, last_step = excluded.last_step,
             created_at = excluded.created_at""",
        user_id,
        step,
        now,
    )


async def find_totp(connection: Connection, user_id: int) -> Totp | None:
    """Return the secret of the app that counts."""
    row = await connection.fetchrow("select sealed, last_step from totp_secret where user_id = $1", user_id)
    return Totp(*row) if row else None


async def use_step(
    connection: Connection, user_id: int, sealed: bytes, step: int, sealed_again: bytes
) -> bool:
    """Use up a time step; False when it was used before, also by another process at the same time."""
    done = await connection.execute(
        """update totp_secret set last_step = $3, sealed = $4
           where user_id = $1 and sealed = $2 and last_step < $3""",
        user_id,
        sealed,
        step,
        sealed_again,
    )
    return rows_of(done) == 1


async def delete_totp(connection: Connection, user_id: int) -> bool:
    """Remove the app, also one that has not shown a code yet; return whether one counted."""
    await connection.execute("delete from totp_enrollment where user_id = $1", user_id)
    return rows_of(await connection.execute("delete from totp_secret where user_id = $1", user_id)) == 1


async def replace_recovery_codes(
    connection: Connection, user_id: int, hashes: Sequence[bytes], now: datetime
) -> None:
    """Store a new set of recovery codes; the earlier ones end."""
    await connection.execute("delete from recovery_code where user_id = $1", user_id)
    await connection.execute(
        """insert into recovery_code (code_hash, user_id, created_at)
           select hash, $2, $3 from unnest($1::bytea[]) h (hash)""",
        list(hashes),
        user_id,
        now,
    )


async def use_recovery_code(connection: Connection, user_id: int, code_hash: bytes) -> bool:
    """Use up a recovery code; False when the account has no such code any more."""
    done = await connection.execute(
        "delete from recovery_code where code_hash = $1 and user_id = $2", code_hash, user_id
    )
    return rows_of(done) == 1


async def drop_unneeded_codes(connection: Connection, user_id: int) -> None:
    """Delete the recovery codes of an account that has no second factor any more."""
    await connection.execute(
        """delete from recovery_code where user_id = $1
             and not exists (select from totp_secret where user_id = $1)
             and not exists (select from passkey where user_id = $1)""",
        user_id,
    )


async def reset(connection: Connection, user_id: int, username: str) -> Factors:
    """Remove all second factors of an account and what was begun with them; return what it had."""
    had = await factors_of(connection, user_id)
    await delete_totp(connection, user_id)
    for table in ("passkey", "recovery_code", "pending_login", "passkey_challenge"):
        await connection.execute(f"delete from {table} where user_id = $1", user_id)  # noqa: S608 - constants
    await connection.execute("delete from login_failure where key = $1", f"code-account:{username}")
    return had
