"""Who a token is about, and which roles it gives. Pure.

A person is known by what never changes and is never given to someone else: in Entra by tenant and object id,
elsewhere by issuer and subject. Names and e-mail addresses are only shown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from santaserver.identity_checks import GUID, group_key
from santaserver.inputs import is_storable
from santaserver.oidc import failures
from santaserver.oidc.failures import SignInRefused
from santaserver.permissions import known_role

ENTRA = "entra:"
MAX_NAME = 200
MAX_ID = 255
MAX_GROUPS = 20_000
_UNSHOWN = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control characters, and those that are not seen or change the direction of writing."""


class Person(Struct, frozen=True):
    """Someone who has signed in at the provider."""

    authority: str
    """Who gave the id: a tenant of Entra's, or an issuer."""
    subject: str
    """The id."""
    username: str
    display_name: str
    session_subject: str
    """`sub`, by which the provider orders a logout."""
    session_id: str
    """`sid`; empty where the provider does not tell it."""
    logout_hint: str


def authority_of(issuer: str, tenant: str) -> str:
    """Return who gives the ids of people: a tenant of Entra's, or an issuer."""
    return f"{ENTRA}{tenant}" if tenant else issuer


class Told(NamedTuple):
    """What the provider says that a person belongs to."""

    roles: frozenset[str]
    """Roles of this server: app roles with their names, or by `OIDC_GROUP_ROLES`."""
    app_roles: Sequence[str] = ()
    groups: Sequence[str] = ()
    notice: str = ""
    """What could not be found out; a kind of failure."""


def person_of(claims: Mapping[str, Any], issuer: str, tenant: str) -> Person:
    """Return the person; raise `SignInRefused` when the claims do not name one."""
    sub = _id(claims, "sub")
    authority = authority_of(issuer, tenant)
    if tenant:
        if str(claims.get("tid", "")).lower() != tenant:
            raise SignInRefused(failures.TOKEN, f"the ID token is of another tenant: {claims.get('tid')!r}")
        subject = _id(claims, "oid").lower()
        if not GUID.fullmatch(subject):
            raise SignInRefused(failures.TOKEN, "the ID token has an `oid` that is no GUID")
    else:
        subject = sub
    login = _shown(claims, "preferred_username") or _shown(claims, "email")
    name = _shown(claims, "name")
    return Person(
        authority=authority,
        subject=subject,
        username=login or name or subject,
        display_name=name or login or subject,
        session_subject=sub,
        session_id=_optional(claims, "sid"),
        logout_hint=_optional(claims, "login_hint"),
    )


def is_described(claims: Mapping[str, Any]) -> bool:
    """Tell whether an ID token has all that is needed; else the provider is asked (userinfo)."""
    named = any(_shown(claims, name) for name in ("preferred_username", "email", "name"))
    return named and ("roles" in claims or "groups" in claims)


def roles_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the app roles; names that this server does not know give nothing."""
    told = claims.get("roles")
    named = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset(role for role in named if isinstance(role, str) and known_role(role))


def app_roles_of(claims: Mapping[str, Any]) -> list[str]:
    """Return the values of the app roles, also of those that this server has no role for."""
    told = claims.get("roles")
    return group_ids([told] if isinstance(told, str) else told if isinstance(told, list) else [])


def groups_of_token(claims: Mapping[str, Any]) -> list[str] | None:
    """Return the ids of the groups in a token; None when the token leaves the groups out."""
    sources = claims.get("_claim_names")
    left_out = (isinstance(sources, dict) and "groups" in sources) or claims.get("hasgroups") is True
    told = claims.get("groups")
    if left_out and not isinstance(told, list):
        return None
    return group_ids(told if isinstance(told, list) else [])


def group_ids(told: Sequence[Any]) -> list[str]:
    """Return ids as they are stored, each once, without what is none."""
    named = (one for one in told[:MAX_GROUPS] if isinstance(one, str))
    return list(dict.fromkeys(group_key(one) for one in named if 0 < len(one) <= MAX_ID and is_storable(one)))


def roles_of_groups(groups: Sequence[str], group_roles: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the roles that the environment gives to these groups."""
    return frozenset(role for group in set(groups) & group_roles.keys() for role in group_roles[group])


def _id(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_ID or _UNSHOWN.search(value):
        remedy = ": it needs the scope profile" if name == "oid" else ""
        raise SignInRefused(failures.TOKEN, f"the ID token has no usable `{name}`{remedy}")
    return value


def _shown(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return _UNSHOWN.sub("", value).strip()[:MAX_NAME].strip() if isinstance(value, str) else ""


def _optional(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    fits = isinstance(value, str) and len(value) <= MAX_ID and not _UNSHOWN.search(value)
    return str(value) if fits else ""
