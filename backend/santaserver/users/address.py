"""Which client a request came from, behind santa-proxy and proxies before it."""

from collections.abc import Sequence
from ipaddress import ip_address

from starlette.requests import HTTPConnection

from santaserver.settings import Network

UNKNOWN = "unknown"


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """Return the nearest address that is not a trusted proxy.

    santa-proxy writes X-Forwarded-For and drops what clients invent, so the header is read from
    the right; without it the peer of the connection counts.
    """
    hops = [hop.strip() for value in request.headers.getlist("x-forwarded-for") for hop in value.split(",")]
    for hop in reversed(hops):
        try:
            address = ip_address(hop)
        except ValueError:
            return UNKNOWN
        if not any(address in network for network in trusted):
            return str(address)
    if hops:
        return hops[0]
    return request.client.host if request.client and request.client.host else UNKNOWN
