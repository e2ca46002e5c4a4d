"""What passkeys belong to: the host name and the origin of `PUBLIC_URL`. Pure."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


class RelyingParty(NamedTuple):
    """This server as browsers see it."""

    id: str
    """The host name; passkeys work at no other."""
    origin: str


def relying_party(public_url: str) -> RelyingParty | None:
    """Return it; None where browsers offer no passkeys: without a host name, and over plain http."""
    parts = urlsplit(public_url)
    host = (parts.hostname or "").lower()
    if not host or _is_address(host):
        return None
    if parts.scheme == "http" and host != "localhost" and not host.endswith(".localhost"):
        return None
    port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
    return RelyingParty(host, f"{parts.scheme}://{host}{port}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
