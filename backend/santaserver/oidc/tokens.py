"""Checks of ID and logout tokens (OpenID Connect Core 3.1.3.7, Back-Channel Logout 2.6, RFC 8725). Pure.

PyJWT reads the token and verifies the signature; what the claims have to be is decided here, strictly.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ("RS256", "PS256", "ES256")
"""Never taken from the provider's metadata or from the token."""
LEEWAY = 60.0
"""Seconds that the clocks of the provider and of this server may differ."""
MAX_TOKEN = 512 * 1024
LAST_TIME = 253402300800
"""Of the calendar, in seconds since 1970."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYPES = frozenset({"logout+jwt", "application/logout+jwt", "jwt"})
ID_TYPES = frozenset({"jwt", "application/jwt"})
LOGOUT_LASTS = timedelta(hours=1)
"""How long a logout token may be valid at most; each is remembered until then."""

Claims = dict[str, Any]


class BadToken(Exception):  # noqa: N818 - what it is about
    """A token that must not be accepted; the message says why."""


class WrongClock(BadToken):
    """A token of another time: the clocks differ, or it came late."""


class Header(NamedTuple):
    """Which key signed a token, and how."""

    kid: str
    algorithm: str


class Expected(NamedTuple):
    """What a token has to be made for."""

    issuer: str
    client_id: str
    now: datetime


def header_of(token: object, types: frozenset[str]) -> Header:
    """Return the header of a token, not verified yet; raise `BadToken` for one that is never acceptable."""
    import jwt  # noqa: PLC0415 - loaded when someone signs in

    if not isinstance(token, str) or not token or len(token) > MAX_TOKEN:
        raise BadToken("there is no token, or it is too large")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BadToken(f"it is not a signed JWT: {error.__class__.__name__}") from error
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if algorithm not in ALGORITHMS:
        raise BadToken(f"its algorithm is {str(algorithm)[:20]!r}, not one of {', '.join(ALGORITHMS)}")
    if "crit" in header:
        raise BadToken("it has critical extensions, which this server does not know")
    if not isinstance(kid, str) or not kid:
        raise BadToken("it does not say which key signed it (kid)")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in types):
        raise BadToken(f"it is of another type: {str(kind)[:40]!r}")
    return Header(kid, algorithm)


def verified(token: str, header: Header, key: "PyJWK") -> Claims:
    """Return the claims of a token that this key signed."""
    import jwt  # noqa: PLC0415

    reader = jwt.PyJWS(algorithms=[header.algorithm])
    try:
        decoded = reader.decode_complete(token, key.key, algorithms=[header.algorithm])
        claims = _object(decoded["payload"])
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise BadToken(f"its signature is not valid: {error.__class__.__name__}") from error
    return claims


def _object(payload: bytes) -> Claims:
    import msgspec  # noqa: PLC0415

    try:
        return msgspec.json.decode(payload, type=Claims)
    except msgspec.DecodeError as error:
        raise BadToken("its content is not a JSON object") from error


def check_id_token(claims: Mapping[str, Any], expected: Expected, nonce: str) -> None:
    """Raise `BadToken` unless the token is for this sign-in."""
    _check_common(claims, expected)
    _check_times(claims, expected.now)
    _text(claims, "sub")
    told = _text(claims, "nonce")
    if not hmac.compare_digest(told.encode(), nonce.encode()):
        raise BadToken("it is of another sign-in (nonce)")


def check_logout_token(claims: Mapping[str, Any], expected: Expected) -> datetime:
    """Raise `BadToken` unless the token orders a logout; return until when it is valid."""
    _check_common(claims, expected)
    if "nonce" in claims:
        raise BadToken("it has a nonce, so it is no logout token")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise BadToken("it does not have the event of a logout")
    _text(claims, "jti")
    if "sub" not in claims and "sid" not in claims:
        raise BadToken("it names neither a person nor a session")
    for name in ("sub", "sid"):
        if name in claims:
            _text(claims, name)
    # Older providers send no `exp`, which the specification's drafts did not have.
    latest = _time(claims, "iat") + LOGOUT_LASTS.total_seconds()
    if "exp" in claims and _time(claims, "exp") > latest:
        raise BadToken("it is valid for too long")
    _check_times({"exp": latest, **claims}, expected.now)
    until = float(claims.get("exp", latest)) + 2 * LEEWAY
    return datetime.fromtimestamp(until, expected.now.tzinfo)


def _check_common(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise BadToken(f"it is of another issuer: {str(claims.get('iss'))[:200]!r}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in audiences) or expected.client_id not in audiences:
        raise BadToken(f"it is for another application (aud): {str(audience)[:200]!r}")
    if len(audiences) > 1 and "azp" not in claims:
        raise BadToken("it is for several applications and does not say for which first (azp)")
    if "azp" in claims and claims["azp"] != expected.client_id:
        raise BadToken(f"it was made for another application (azp): {str(claims['azp'])[:200]!r}")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    present = now.timestamp()
    if present >= _time(claims, "exp") + LEEWAY:
        raise WrongClock(f"it expired {present - _time(claims, 'exp'):.0f} s ago by this server's clock")
    for name in ("iat", "nbf"):
        if (name == "iat" or name in claims) and _time(claims, name) > present + LEEWAY:
            ahead = _time(claims, name) - present
            raise WrongClock(f"it was made {ahead:.0f} s in the future by this server's clock ({name})")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LAST_TIME:
        raise BadToken(f"it has no time {name}")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise BadToken(f"it has no {name}")
    return value
