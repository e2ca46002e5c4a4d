"""Whether the settings of the identity provider make sense together. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from santaserver.permissions import Role, known_role
from santaserver.weak_secrets import is_loopback

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})
"""Endpoints of Entra for the accounts of every organization."""
ENTRA_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "login.microsoft.com",
        "login.windows.net",
        "sts.windows.net",
    }
)
WHERE_TENANT = "copy the directory (tenant) ID, a GUID, from the overview of the app in Entra"


@dataclass(frozen=True)
class IdentityValues:
    """The settings as they are given; empty when not set."""

    tenant_id: str
    issuer: str
    client_id: str
    client_secret: str
    name: str
    group_roles: str
    public_url: str


def identity_errors(given: IdentityValues) -> list[str]:
    """Return everything that is wrong, each with its remedy."""
    if not given.tenant_id and not given.issuer:
        return _without_provider(given)
    needed = {
        "CLIENT_ID": (given.client_id, "the application (client) ID of this server at the provider"),
        "CLIENT_SECRET": (given.client_secret, "the client secret, or CLIENT_SECRET_FILE with its path"),
        "PUBLIC_URL": (
            given.public_url,
            "the address of the console, where the provider sends people back to",
        ),
    }
    missing = [
        f"{name} is missing, and signing in through the identity provider needs it: set {what}"
        for name, (value, what) in needed.items()
        if not value
    ]
    return [
        *_tenant_errors(given.tenant_id),
        *_issuer_errors(given.issuer, given.tenant_id),
        *missing,
        *_group_errors(given.group_roles, guids=bool(given.tenant_id)),
    ]


def _without_provider(given: IdentityValues) -> list[str]:
    values = {
        "CLIENT_ID": given.client_id,
        "CLIENT_SECRET": given.client_secret,
        "OIDC_NAME": given.name,
        "OIDC_GROUP_ROLES": given.group_roles,
    }
    useless = [name for name, value in values.items() if value]
    if not useless:
        return []
    named = " and ".join(useless)
    remedy = "set TENANT_ID (Microsoft Entra ID) or OIDC_ISSUER (any other OpenID provider) as well"
    return [f"{named} without a provider: {remedy}, or remove it to have local accounts only"]


def _tenant_errors(tenant: str) -> list[str]:
    if not tenant or GUID.fullmatch(tenant):
        return []
    if tenant in SHARED_TENANTS:
        return [f"TENANT_ID is {tenant!r}, which lets in people of every organization: {WHERE_TENANT}"]
    return [f"TENANT_ID is not a GUID (is {tenant!r}): {WHERE_TENANT}"]


def _issuer_errors(issuer: str, tenant: str) -> list[str]:
    if not issuer:
        return []
    try:
        parts = urlsplit(issuer)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return [f"OIDC_ISSUER is not a URL (is {issuer!r})"]
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", issuer):
        return [f"OIDC_ISSUER is not a URL (is {issuer!r}): set the `issuer` of the provider's metadata"]
    if "@" in parts.netloc:
        return ["OIDC_ISSUER has a user name or password in it: set it without"]
    found = []
    if parts.scheme == "http" and not is_loopback(issuer):
        found.append(f"OIDC_ISSUER begins with http (is {issuer!r}): a provider needs https")
    if parts.query or parts.fragment or issuer.endswith(("?", "#")):
        found.append(f"OIDC_ISSUER has a query or fragment (is {issuer!r}): an issuer has none")
    if issuer.rstrip("/").endswith("/.well-known/openid-configuration"):
        found.append("OIDC_ISSUER is the address of the metadata: set only what is before /.well-known/")
    return found or _entra_issuer_errors(issuer, host, parts.path, tenant)


def _entra_issuer_errors(issuer: str, host: str, path: str, tenant: str) -> list[str]:
    if not tenant and host in ENTRA_HOSTS:
        return ["OIDC_ISSUER is Microsoft Entra ID: set TENANT_ID, and OIDC_ISSUER for national clouds only"]
    if tenant and GUID.fullmatch(tenant) and tenant not in path.lower().split("/"):
        remedy = "set only TENANT_ID for Microsoft Entra ID, only OIDC_ISSUER for another provider"
        return [f"OIDC_ISSUER does not have the tenant of TENANT_ID in it (is {issuer!r}): {remedy}"]
    return []


def group_roles_of(text: str) -> dict[str, frozenset[str]]:
    """Return the roles of each group; leave out what is wrong."""
    found: dict[str, frozenset[str]] = {}
    for group, role in _entries(text):
        if group and known_role(role):
            name = group_key(group)
            found[name] = found.get(name, frozenset()) | {role}
    return found


def group_key(group: str) -> str:
    """Return a group's id as it is compared: GUIDs without case."""
    return group.lower() if GUID.fullmatch(group) else group


def _entries(text: str) -> list[tuple[str, str]]:
    entries = [entry.strip() for entry in re.split(r"[;\n]", text) if entry.strip()]
    split = [entry.rpartition("=") for entry in entries]
    return [(group.strip(), role.strip()) for group, _, role in split]


def _group_errors(text: str, *, guids: bool) -> list[str]:
    found = []
    for group, role in _entries(text):
        if not group:
            found.append(f"OIDC_GROUP_ROLES: {role!r} has to be GROUP=ROLE")
            continue
        if not known_role(role):
            found.append(f"OIDC_GROUP_ROLES: there is no role {role!r}: use one of {', '.join(Role)}")
        if guids and not GUID.fullmatch(group):
            found.append(f"OIDC_GROUP_ROLES: {group!r} is not the object id of a group, a GUID")
    return found
