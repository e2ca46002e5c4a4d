"""What a token may do: what it was made for and what its owner may do, both, at each request. Pure."""

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from santaserver.permissions import TAG_SCOPED, Permission, known_permissions
from santaserver.scope import Scope

Network = IPv4Network | IPv6Network

NEVER = frozenset({Permission.USER_WRITE, Permission.SESSION_WRITE})
"""No token has these: one that was stolen must not make accounts, sessions or tokens that outlast it."""


def token_permissions(names: Iterable[str]) -> frozenset[Permission]:
    """Return the stored permissions of a token that it can have."""
    return known_permissions(names) - NEVER


def narrowed(permission: Permission, owners: Scope | None, tags: Collection[int] | None) -> Scope | None:
    """Return where a token with these tags holds a permission that its owner has in a scope; None: nowhere.

    As for roles: what concerns the whole installation is not granted to a token that is limited to tags.
    """
    if owners is None or tags is None:
        return owners
    if permission not in TAG_SCOPED:
        return None
    both = frozenset(tags) if owners.tags is None else owners.tags & frozenset(tags)
    return Scope(both) if both else None


def parse_network(text: str) -> Network:
    """Read an address or a network as CIDR; raise `ValueError` when host bits are set or it is none."""
    return ip_network(text.strip(), strict=True)


def is_allowed(networks: Sequence[Network], address: str) -> bool:
    """Tell whether a request may come from an address; without networks it may come from any."""
    if not networks:
        return True
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
