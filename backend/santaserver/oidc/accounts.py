"""The account of a person who has signed in at the provider: found or made, with roles and a session."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from santaserver.audit import Actor, RequestInfo, Target
from santaserver.oidc import failures
from santaserver.oidc import person_repository as people
from santaserver.oidc.audit_entries import provider_actor
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.people import Person
from santaserver.outbox import discard
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import account_service
from santaserver.users.account_schemas import UserAccount
from santaserver.users.administrators import lock_roles
from santaserver.users.session_repository import Login, ProviderSession


async def admit(
    state: AppState,
    issuer: str,
    person: Person,
    roles: Collection[str],
    notice: str,
    request: RequestInfo,
    user_agent: str,
) -> str:
    """Return a new session for a person; raise `SignInRefused` for a disabled account.

    All of it is one transaction. Nothing here touches local accounts, so an administrator always stays.
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
        await people.set_provider_roles(connection, user_id, roles, now)
        after = await account_service.get_user(connection, user_id)
        _record(work, issuer, before, after, now)
        session = ProviderSession(
            issuer, person.session_subject, person.session_id, person.logout_hint, notice
        )
        login = Login(user_id, request.address, user_agent, now, session)
        token = await state.sessions.begin(connection, login)
        details = {"issuer": issuer, "authority": person.authority, "subject": person.subject}
        actor = Actor(after.username, user_id)
        work.audit(actor, now, "login", ("user", str(user_id)), None, details)
    if _plain(before) != _plain(after):
        state.sessions.ended()
    return token


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
