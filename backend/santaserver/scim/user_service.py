"""People, as the directory creates, changes and removes them.

A person is active or not by the directory, and enabled or not by the administrators here: who signs in has to
be both. Who is not active any more has no sessions and no tokens.
"""

import secrets
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from santaserver.audit import Target
from santaserver.db import Connection
from santaserver.names import name_key
from santaserver.oidc.people import authority_of
from santaserver.scim import user_repository as repository
from santaserver.scim.calls import Call
from santaserver.scim.errors import INVALID_VALUE, MUTABILITY, ScimError, conflict, not_found, quoted
from santaserver.scim.listing import Search
from santaserver.scim.lookup import hint_of
from santaserver.scim.matching import Budget, matches
from santaserver.scim.operations import operations_of
from santaserver.scim.patch import apply
from santaserver.scim.schemas import USER, USER_URN
from santaserver.scim.user_repository import UserRow
from santaserver.scim.values import Resource, check_required, resource_of
from santaserver.scim.versions import check_version, tag_of
from santaserver.settings import IdentitySettings
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import repository as accounts
from santaserver.users import setup_repository
from santaserver.users.administrators import administrators_kept

MAX_NAME = 200
BATCH = 500


class Found:
    """A part of what a search finds."""

    def __init__(self, resources: list[Resource], total: int) -> None:
        """Keep it."""
        self.resources = resources
        self.total = total


def shown(row: UserRow, base: str) -> Resource:
    """Return a person as a resource."""
    location = f"{base}/Users/{row.scim_id}"
    extensions = [name for name in row.attributes if name.startswith("urn:")]
    groups = [
        {"value": group, "$ref": f"{base}/Groups/{group}", "display": name, "type": "direct"}
        for group, name in row.groups
    ]
    return {
        "schemas": [USER_URN, *extensions],
        "id": row.scim_id,
        **({"externalId": row.external_id} if row.external_id else {}),
        "userName": row.user_name,
        **row.attributes,
        **({"groups": groups} if groups else {}),
        "meta": {
            "resourceType": "User",
            "created": moment(row.created_at),
            "lastModified": moment(row.updated_at),
            "location": location,
            "version": tag_of(row.version),
        },
    }


def moment(at: datetime) -> str:
    """Return a time as resources have it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _writable(row: UserRow) -> Resource:
    told: Resource = {"userName": row.user_name, **deepcopy(row.attributes)}
    return told | ({"externalId": row.external_id} if row.external_id else {})


async def get(connection: Connection, scim_id: str) -> UserRow:
    """Return a person."""
    row = await repository.find(connection, scim_id)
    if row is None:
        raise not_found("user")
    return row


async def search(connection: Connection, wanted: Search, base: str) -> Found:
    """Return those people whom a search wants to see."""
    if wanted.found is None:
        total = await repository.count(connection)
        rows = []
        if wanted.start <= total and wanted.count:
            rows = await repository.page(connection, wanted.start - 1, wanted.count)
        return Found([shown(row, base) for row in rows], total)
    hint, budget, after = hint_of(wanted.found, "userName"), Budget(), 0
    total, resources = 0, []
    while rows := await repository.hinted(connection, hint, after, BATCH):
        after = rows[-1].user_id
        for row in rows:
            resource = shown(row, base)
            if matches(wanted.found, resource, budget):
                total += 1
                if wanted.start <= total < wanted.start + wanted.count:
                    resources.append(resource)
    return Found(resources, total)


async def create(work: UnitOfWork, call: Call) -> UserRow:
    """Create a person, or take over one who signed in before, or who was removed."""
    connection = work.connection
    resource = resource_of(USER, call.body)
    resource.setdefault("active", True)
    async with administrators_kept(work):
        await _check_unique(connection, resource, None)
        user_id = await _known(connection, call.state.settings.identity, resource.get("externalId"))
        if user_id is None:
            user_id = await _added(connection, resource, call.now)
        else:
            await _named(connection, user_id, resource)
        await repository.store(connection, user_id, resource, call.now)
        if resource["active"]:
            await accounts.set_deprovisioned(connection, user_id, None)
        else:
            await _withdraw(work, call, user_id)
    row = await _of_account(connection, user_id)
    target: Target = ("user", str(user_id))
    work.audit(call.actor, call.now, "user_provisioned", target, None, _plain(row))
    return row


async def replace(work: UnitOfWork, call: Call, scim_id: str) -> UserRow:
    """Give a person other attributes: all of them."""
    resource = resource_of(USER, call.body)
    async with administrators_kept(work):
        before = await get(work.connection, scim_id)
        check_version(call.fields, before.version)
        # Whoever does not mention it does not mean to let anybody in.
        return await _change(work, call, before, {"active": before.active} | resource)


async def patch(work: UnitOfWork, call: Call, scim_id: str) -> UserRow:
    """Change some attributes of a person."""
    operations = operations_of(USER, call.body)
    async with administrators_kept(work):
        before = await get(work.connection, scim_id)
        check_version(call.fields, before.version)
        resource, budget = _writable(before), Budget()
        for operation in operations:
            apply(resource, operation, budget)
        removed = any(one.verb == "remove" and one.path.attribute.required for one in operations)
        check_required(USER, resource, MUTABILITY if removed else INVALID_VALUE)
        return await _change(work, call, before, resource)


async def remove(work: UnitOfWork, call: Call, scim_id: str) -> None:
    """Remove a person; who could sign in without that stays known as someone who may not."""
    connection = work.connection
    async with administrators_kept(work):
        row = await get(connection, scim_id)
        check_version(call.fields, row.version)
        await _withdraw(work, call, row.user_id)
        await repository.leave_groups(connection, row.user_id)
        if row.external_id or await repository.has_identity(connection, row.user_id):
            await repository.forget(connection, row.user_id, call.now)
        else:
            await accounts.delete_user(connection, row.user_id)
    work.audit(call.actor, call.now, "user_deprovisioned", ("user", str(row.user_id)), _plain(row))


async def _change(work: UnitOfWork, call: Call, before: UserRow, resource: Resource) -> UserRow:
    if resource == _writable(before):
        return before
    connection, user_id = work.connection, before.user_id
    await _check_unique(connection, resource, user_id)
    await _check_identity(connection, call.state.settings.identity, resource.get("externalId"), user_id)
    await _named(connection, user_id, resource)
    await repository.store(connection, user_id, resource, call.now)
    if resource.get("active") is True:
        await accounts.set_deprovisioned(connection, user_id, None)
    elif before.active:  # also when it is removed: nothing says any more that the person may sign in
        await _withdraw(work, call, user_id)
    after = await _of_account(connection, user_id)
    target: Target = ("user", str(user_id))
    work.audit(call.actor, call.now, "user_changed", target, _plain(before), _plain(after))
    return after


async def _withdraw(work: UnitOfWork, call: Call, user_id: int) -> None:
    """Let a person not sign in any more; end the sessions, the API tokens and an invitation."""
    connection = work.connection
    await accounts.set_deprovisioned(connection, user_id, call.now)
    await accounts.end_sessions(connection, user_id)
    await setup_repository.delete_of_user(connection, user_id)
    for token in await repository.revoke_tokens(connection, user_id, call.now):
        work.audit(call.actor, call.now, "token_revoked", ("token", str(token)))


async def _added(connection: Connection, resource: Resource, now: datetime) -> int:
    return await accounts.add_person(
        connection, _login(resource), display_name(resource), secrets.token_hex(4), now
    )


async def _named(connection: Connection, user_id: int, resource: Resource) -> None:
    """Give an account the names that the directory has for it."""
    known = await accounts.find_user(connection, user_id)
    if known is None:
        return
    if known.display_name != display_name(resource):
        await accounts.set_display_name(connection, user_id, display_name(resource))
    if known.username != _login(resource).lower():
        await accounts.rename_person(connection, user_id, _login(resource), secrets.token_hex(4))


async def _known(connection: Connection, identity: IdentitySettings, external_id: str | None) -> int | None:
    """Return the account that an `externalId` belongs to already: of SCIM, or from signing in."""
    if not external_id:
        return None
    owner = await repository.owner_of(connection, external_id)
    if owner is not None:
        return owner[0]
    authority, subject = authority_of(identity.issuer, identity.tenant_id), external_id
    if identity.tenant_id:
        subject = external_id.lower()
    return await repository.signed_in_as(connection, authority, subject)


async def _check_unique(connection: Connection, resource: Resource, besides: int | None) -> None:
    name = resource["userName"]
    key = name_key(name)
    if len(name) > MAX_NAME or not key:
        raise ScimError(f"userName has to have 1 to {MAX_NAME} characters that can be seen", INVALID_VALUE)
    if await repository.name_taken(connection, key, besides):
        raise conflict(f"There is a user with the userName {quoted(name)}, or one that looks like it")
    external_id = resource.get("externalId")
    owner = await repository.owner_of(connection, external_id) if external_id else None
    if owner is not None and owner[0] != besides and not (besides is None and owner[1]):
        raise conflict(f"There is a user with the externalId {quoted(external_id)}")


async def _check_identity(
    connection: Connection, identity: IdentitySettings, external_id: str | None, user_id: int
) -> None:
    """Refuse an `externalId` of someone who has another account here, from signing in before."""
    owner = await _known(connection, identity, external_id)
    if owner is not None and owner != user_id:
        raise conflict(
            f"The person with the externalId {quoted(external_id)} signed in before and has another account: "
            "an administrator of SantaServer has to delete that one, under People"
        )


async def _of_account(connection: Connection, user_id: int) -> UserRow:
    row = await repository.of_account(connection, user_id)
    if row is None:
        raise not_found("user")
    return row


def display_name(resource: Mapping[str, Any]) -> str:
    """Return what a person is called in the console."""
    name = resource.get("name", {})
    parts = " ".join(name[part] for part in ("givenName", "familyName") if part in name)
    told = resource.get("displayName") or name.get("formatted") or parts or resource["userName"]
    return " ".join(str(told).split())[:MAX_NAME]


def _login(resource: Mapping[str, Any]) -> str:
    return " ".join(str(resource["userName"]).split())


def _plain(row: UserRow) -> dict[str, Any]:
    """Return what the audit log keeps."""
    return {
        "user_name": row.user_name,
        "external_id": row.external_id,
        "attributes": row.attributes,
    }
