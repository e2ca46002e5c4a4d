"""The account of a person who has signed in at the provider: found or made, with roles and a session."""

import logging
from datetime import datetime
from typing import Any

from santaserver.audit import Actor, RequestInfo, Target
from santaserver.db import Connection
from santaserver.groups.repository import set_told_groups
from santaserver.oidc import failures
from santaserver.oidc import person_repository as people
from santaserver.oidc.audit_entries import provider_actor
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.people import Person, Told
from santaserver.outbox import discard
from santaserver.permissions import Role
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import account_service
from santaserver.users.account_schemas import UserAccount
from santaserver.users.administrators import administrators, is_managed, lock_roles
from santaserver.users.measured import SIGN_INS
from santaserver.users.session_repository import Login, ProviderSession, renew_all

log = logging.getLogger(__name__)


async def admit(
    state: AppState,
    issuer: str,
    person: Person,
    told: Told,
    request: RequestInfo,
    user_agent: str,
) -> str:
    """Return a new session for a person; raise `SignInRefused` for a disabled account.

    All of it is one transaction. Local accounts are not touched; the last administrator of all stays one,
    whatever the provider says.
    """
    now = state.clock()
    async with state.database.unit_of_work(discard, f"{person.authority} {person.subject}", request) as work:
        connection = work.connection
        await lock_roles(connection)
        known = await people.find(connection, person)
        if known is not None and known.withdrawn:
            raise SignInRefused(failures.WITHDRAWN, f"SCIM says that the account {known.id} is not active")
        if known is not None and known.disabled:
            raise SignInRefused(failures.DISABLED, f"the account {known.id} is disabled")
        before = None
        if known is None:
            user_id = await people.add(connection, person, now)
        else:
            user_id = known.id
            before = await account_service.get_user(connection, user_id)
            if not known.linked:
                await people.link(connection, user_id, person, now)
            await people.refresh(connection, known, person, now)
        await _set_roles(connection, user_id, told, now)
        after = await account_service.get_user(connection, user_id)
        _record(work, issuer, before, after, now)
        session = ProviderSession(
            issuer, person.session_subject, person.session_id, person.logout_hint, told.notice
        )
        login = Login(user_id, request.address, user_agent, now, session)
        token = await state.sessions.begin(connection, login)
        details = {"issuer": issuer, "authority": person.authority, "subject": person.subject}
        actor = Actor(after.username, user_id)
        work.audit(actor, now, "login", ("user", str(user_id)), None, details)
    SIGN_INS.add("provider")
    if _plain(before) != _plain(after):
        state.sessions.ended()
    return token


async def _set_roles(connection: Connection, user_id: int, told: Told, now: datetime) -> None:
    before = await administrators(connection)
    changed = await people.set_provider_roles(connection, user_id, told.roles, now)
    changed |= await set_told_groups(connection, user_id, "app_role", told.app_roles, now)
    changed |= await set_told_groups(connection, user_id, "claim", told.groups, now)
    if not changed:
        return
    await renew_all(connection, user_id)
    if before.anybody and not await is_managed(connection):
        log.warning(
            "the identity provider took the role admin from user %d, who keeps it as the last administrator: "
            "give it to another user, best to one with a password",
            user_id,
        )
        await people.set_provider_roles(connection, user_id, {*told.roles, Role.ADMIN}, now)


def _record(
    work: UnitOfWork, issuer: str, before: UserAccount | None, after: UserAccount, now: datetime
) -> None:
    if _plain(before) == _plain(after):
        return
    actor = provider_actor(issuer)
    target: Target = ("user", str(after.id))
    action = "user_created" if before is None else "user_changed"
    work.audit(actor, now, action, target, _plain(before), _plain(after))


def _plain(user: UserAccount | None) -> dict[str, Any] | None:
    left_out = {"created_at", "etag", "signed_in_at"}
    return None if user is None else user.model_dump(mode="json", exclude=left_out)
