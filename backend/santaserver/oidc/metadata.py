"""What a provider says about itself at /.well-known/openid-configuration. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from santaserver.oidc.fetch import ProviderError
from santaserver.weak_secrets import is_loopback

WELL_KNOWN = "/.well-known/openid-configuration"
BASIC = "client_secret_basic"
POST = "client_secret_post"
USUAL_SCOPES = ("profile", "email", "groups")
"""Asked for where the provider knows them."""
GRAPH_HOSTS = frozenset(
    {
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
    }
)


class Metadata(Struct, frozen=True):
    """The parts that are used."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    end_session: str
    names_itself: bool
    """Whether its responses have `iss` (RFC 9207)."""
    basic: bool
    """Whether the client secret goes into a header, not into the body."""
    scopes: tuple[str, ...]
    graph: str
    """Address of Microsoft Graph in this cloud; empty elsewhere."""


def metadata_address(issuer: str) -> str:
    """Return where an issuer's metadata is."""
    return issuer.rstrip("/") + WELL_KNOWN


def read_metadata(document: Mapping[str, object], issuer: str, *, entra: bool) -> Metadata:
    """Check a document; raise `ProviderError` with what is wrong with it."""
    named = document.get("issuer")
    if named != issuer:
        setting = "TENANT_ID" if entra else "OIDC_ISSUER"
        raise ProviderError(f"its metadata has the issuer {named!r}, not {issuer!r}: correct {setting}")
    methods = _texts(document.get("token_endpoint_auth_methods_supported"))
    known = _texts(document.get("scopes_supported"))
    wanted = ("profile", "User.Read") if entra else USUAL_SCOPES
    scopes = [scope for scope in wanted if entra or (scope in known if known else scope != "groups")]
    return Metadata(
        authorization=_endpoint(document, "authorization_endpoint", issuer),
        token=_endpoint(document, "token_endpoint", issuer),
        keys=_endpoint(document, "jwks_uri", issuer),
        userinfo=_endpoint(document, "userinfo_endpoint", issuer, needed=False),
        end_session=_endpoint(document, "end_session_endpoint", issuer, needed=False),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        basic=not methods or BASIC in methods or POST not in methods,
        scopes=("openid", *scopes),
        graph=_graph(document.get("msgraph_host"), issuer) if entra else "",
    )


def _endpoint(document: Mapping[str, object], name: str, issuer: str, *, needed: bool = True) -> str:
    address = document.get(name)
    if address is None and not needed:
        return ""
    if not isinstance(address, str):
        raise ProviderError(f"its metadata has no {name}")
    try:
        parts = urlsplit(address)
        whole = bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not _is_protected(address, issuer):
        raise ProviderError(f"{name} in its metadata is not an https address: {address!r}")
    return address


def _is_protected(address: str, issuer: str) -> bool:
    """Tell whether an address is https, or on this machine like the issuer itself."""
    if address.startswith("https://"):
        return True
    return address.startswith("http://") and is_loopback(address) and issuer.startswith("http://")


def _graph(host: object, issuer: str) -> str:
    """Return the address of Graph: one of Microsoft's, or on this machine like the issuer itself."""
    if host in GRAPH_HOSTS:
        return f"https://{host}"
    local = f"http://{host}"
    return local if isinstance(host, str) and _is_protected(local, issuer) else "https://graph.microsoft.com"


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
