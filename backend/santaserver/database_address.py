"""A database's address, checked once at the start. Pure.

Errors never quote a part of the address, because it contains a password. The driver's own messages would
quote it, and come later.
"""

import re
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urlsplit

from santaserver.weak_secrets import is_loopback

SCHEMES = re.compile(r"postgres(ql)?(\+asyncpg)?")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(%25[\w.-]+)?\]|[\w.-]*|%2[Ff][^:]*)(:(\d*))?")
PARAMETER = re.compile(r"[a-z_][a-z0-9_.]*")
PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters with the path of a file."""
LARGEST_PORT = 65_535

ENCODE = (
    "a user name or password has to be percent-encoded: "
    "@ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25 (POSTGRES_PASSWORD takes it as it is)"
)


def canonical(url: str) -> str:
    """Return the address in the driver's form, postgresql://…; raise `ValueError` when it is invalid."""
    scheme, separator, rest = url.partition("://")
    if not separator or SCHEMES.fullmatch(scheme) is None:
        raise ValueError("it has to begin with postgresql://")
    if any(char.isspace() or not char.isprintable() for char in rest):
        raise ValueError("it contains blanks or control characters; percent-encode them")
    if "#" in rest:
        raise ValueError(f"it contains #; {ENCODE}")
    if PERCENT.search(rest):
        raise ValueError(f"a % is not followed by two hexadecimal digits; {ENCODE}")
    _check_text(rest)
    address, question, query = rest.partition("?")
    authority, _, name = address.partition("/")
    if "/" in name or "@" in name or "?" in query or "@" in query.partition("=")[0]:
        raise ValueError(f"it cannot be taken apart; {ENCODE}")
    login, at, hosts = authority.rpartition("@")
    if set("@[]") & set(login) or login.count(":") > 1 or (at and not login.partition(":")[0]):
        raise ValueError(f"it cannot be taken apart; {ENCODE}")
    for host in hosts.split(","):
        _check_host(host)
    if question:
        _check_parameters(query)
    return f"postgresql://{rest}"


def files_of(url: str) -> dict[str, str]:
    """Return the files that an address names, by parameter; the last of each counts."""
    found = parse_qs(urlsplit(url).query)
    return {name: found[name][-1] for name in FILES if name in found}


def crosses_network(url: str) -> bool:
    """Tell whether an address leads to another machine, as far as it shows."""
    parts = urlsplit(url)
    hosts = unquote(parts.netloc.rpartition("@")[2]).split(",") + parse_qs(parts.query).get("host", [])
    return any(host and not host.startswith("/") and not is_loopback(f"//{host}") for host in hosts)


def _check_text(rest: str) -> None:
    try:
        decoded = unquote_to_bytes(rest).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoded characters have to be UTF-8") from None
    if "\0" in decoded:
        raise ValueError("it contains %00, which nothing in an address can")


def _check_host(host: str) -> None:
    match = HOST.fullmatch(host)
    if match is None:
        raise ValueError(f"the host or its port cannot be read; IPv6 stands in brackets, and {ENCODE}")
    if match[4] and not 1 <= int(match[4][:6]) <= LARGEST_PORT:
        raise ValueError("the port has to be between 1 and 65535")


def _check_parameters(query: str) -> None:
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        if not equals or PARAMETER.fullmatch(name) is None:
            raise ValueError(f"what follows ? has to be name=value, joined by &; {ENCODE}")
        if name == "sslmode" and value not in SSL_MODES:
            raise ValueError("sslmode has to be one of " + ", ".join(sorted(SSL_MODES)))
        if name == "port" and not all(port.isdecimal() for port in value.split(",")):
            raise ValueError("port has to be a number")


def check_server(server: str) -> str:
    """Return a host name, an address or a directory; raise `ValueError` for anything else."""
    if server.startswith("/"):
        return server
    bare = server.removeprefix("[").removesuffix("]")
    if re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+", bare) is None:
        raise ValueError("it has to be a host name, an address, or a directory that begins with /")
    return bare
