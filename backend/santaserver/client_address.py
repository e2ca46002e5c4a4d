"""The client address of a request, as santa-proxy determined it."""

from starlette.requests import HTTPConnection

UNKNOWN = "unknown"


def client_address(request: HTTPConnection) -> str:
    """Return the address in X-Real-IP, which only santa-proxy can set; without it, the peer's."""
    forwarded = request.headers.get("x-real-ip")
    return forwarded or (request.client.host if request.client and request.client.host else UNKNOWN)
