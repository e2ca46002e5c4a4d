"""Setup links: with one, the first administrator or an invited user chooses a password, once."""

import asyncio
from datetime import datetime

from santaserver import audit
from santaserver.audit import ANONYMOUS, Actor, RequestInfo, Target
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.outbox import discard
from santaserver.permissions import Role
from santaserver.second_factor.repository import factors_of
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import login_repository, repository, second_step
from santaserver.users import setup_repository as links
from santaserver.users.account_schemas import SetupLink
from santaserver.users.account_service import NO_LOCAL_LOGIN
from santaserver.users.administrators import is_managed, lock_roles
from santaserver.users.authority import check_not_above
from santaserver.users.binding_repository import Holder, StoredRole, replace_roles
from santaserver.users.counted import count, too_many
from santaserver.users.login_repository import Account
from santaserver.users.measured import SIGN_INS, SIGN_INS_REFUSED
from santaserver.users.password_rules import check_password_rules
from santaserver.users.passwords import hash_password
from santaserver.users.repository import NewUser
from santaserver.users.second_step import SecondStep
from santaserver.users.service import normalise_username
from santaserver.users.session_repository import Login
from santaserver.users.setup_repository import FoundLink
from santaserver.users.setup_schemas import Setup, SetupOffer
from santaserver.users.setup_secret import FIRST_ADMIN, INVITATION, hash_secret, link, new_secret
from santaserver.users.throttle import network_of, setup_counter

NOT_VALID = (
    "This link is not valid any more: it works once and for a limited time. Ask an administrator for another "
    "one; for the first administrator, restart the server and take the new link from its log"
)


async def create_link(work: UnitOfWork, user_id: int, public_url: str, by: User, now: datetime) -> SetupLink:
    """Make a link with which a user chooses a password; an earlier one ends."""
    await lock_roles(work.connection)
    row = await repository.find_user(work.connection, user_id)
    if row is None:
        raise NotFound("There is no such user")
    if row.kind == "service":
        raise Conflict("A service account has no password: create an API token for it")
    if not row.enabled:
        raise Conflict("The user is disabled: enable the user first")
    if row.from_provider or row.from_scim:
        raise Conflict(NO_LOCAL_LOGIN)
    check_not_above(by, row)
    secret, expires_at = new_secret(), now + INVITATION
    await links.store_link(work.connection, user_id, hash_secret(secret), now, expires_at)
    after = {"username": row.username, "expires_at": audit.stamp(expires_at)}
    work.audit(by.actor, now, "setup_link_created", ("user", str(user_id)), None, after)
    return SetupLink(url=link(public_url, secret), expires_at=expires_at)


async def first_link(connection: Connection, now: datetime) -> str:
    """Return the secret of a link for the first administrator; an earlier one ends."""
    secret = new_secret()
    await links.store_link(connection, None, hash_secret(secret), now, now + FIRST_ADMIN)
    return secret


async def offer(state: AppState, secret: str, request: RequestInfo, now: datetime) -> SetupOffer:
    """Return what a link is for."""
    found = await _find(state, secret, request, now)
    return SetupOffer(
        username=found.username or None, display_name=found.display_name, expires_at=found.expires_at
    )


async def use(
    state: AppState, setup: Setup, request: RequestInfo, user_agent: str, now: datetime
) -> tuple[User, str] | SecondStep:
    """Create the first administrator, or set the password of a user; return the user and a new session.

    A link replaces the password, not the second factor: with one, the login goes on with it.
    """
    found = await _find(state, setup.secret, request, now)
    username = found.username or normalise_username(setup.username or "")
    if not username:
        raise wrong_field("username", "Choose a user name")
    check_password_rules("password", setup.password, (username, found.display_name))
    async with state.logins.slot(network_of(request.address)):
        hashed = await asyncio.to_thread(hash_password, setup.password)
    async with state.database.unit_of_work(discard, username, request) as work:
        connection = work.connection
        await lock_roles(connection)
        if not await links.use_link(connection, hash_secret(setup.secret)):
            raise NotFound(NOT_VALID)
        if found.user_id is None:
            name = (setup.username or "").strip()
            await _create_first(work, NewUser(username, name, hashed), now)
        else:
            await _set_password(work, found.user_id, username, hashed, now)
        account = await login_repository.find_account(connection, username)
        if account is None:
            raise NotFound(NOT_VALID)
        opened = Login(account.id, request.address, user_agent, now)
        done = await _log_in(state, work, account, opened)
    state.sessions.ended()
    if not isinstance(done, SecondStep):
        SIGN_INS.add("setup_link")
    return done


async def _log_in(
    state: AppState, work: UnitOfWork, account: Account, opened: Login
) -> tuple[User, str] | SecondStep:
    target: Target = ("user", str(account.id))
    factors = await factors_of(work.connection, account.id)
    if factors.required:
        after = {"username": account.username}
        work.audit(ANONYMOUS, opened.now, "second_factor_requested", target, None, after)
        return await second_step.begin(work.connection, account, factors, opened.now)
    work.audit(Actor(account.username, account.id), opened.now, "login", target)
    return second_step.shown(account), await state.sessions.begin(work.connection, opened)


async def _find(state: AppState, secret: str, request: RequestInfo, now: datetime) -> FoundLink:
    network = network_of(request.address)
    async with state.database.read(network) as connection:
        found = await links.find_link(connection, hash_secret(secret), now)
        if found is not None:
            return found
        counter = setup_counter(network)
        wait = await count(connection, [counter], [counter], now)
    SIGN_INS_REFUSED.add("setup_link", "throttled" if wait else "wrong")
    raise too_many(wait, "setup links that are not valid") if wait else NotFound(NOT_VALID)


async def _create_first(work: UnitOfWork, new: NewUser, now: datetime) -> None:
    if await is_managed(work.connection):
        raise Conflict("There is an administrator already: log in, or ask one for an account")
    user_id = await repository.add_user(work.connection, new, now)
    if user_id is None:
        raise Conflict("There is already a user with this name: choose another one")
    roles = [StoredRole(Role.ADMIN, None, None)]
    await replace_roles(work.connection, Holder("user", user_id), roles, None, now)
    after = {
        "username": new.username,
        "display_name": new.display_name,
        "disabled": False,
        "roles": [{"role": "admin", "tag": None}],
    }
    work.audit(Actor(new.username, user_id), now, "user_created", ("user", str(user_id)), None, after)


async def _set_password(work: UnitOfWork, user_id: int, username: str, hashed: str, now: datetime) -> None:
    await repository.set_password(work.connection, user_id, hashed)
    await repository.end_sessions(work.connection, user_id)
    await repository.forget_failures(work.connection, username)
    after = {"username": username, "by": "setup link"}
    work.audit(Actor(username, user_id), now, "password_changed", ("user", str(user_id)), None, after)
