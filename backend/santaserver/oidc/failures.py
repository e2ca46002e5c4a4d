"""Why a sign-in fails: what the person is told, and what to do about it. The log has the cause."""

import re
from http import HTTPStatus
from typing import NamedTuple

AADSTS = re.compile(r"\bAADSTS(\d{4,8})\b")
FAILURE = re.compile(r"([a-z_]{1,30})(?:\.(\d{4,8}))?")


class Failure(NamedTuple):
    """One kind of failure."""

    status: HTTPStatus
    message: str
    hint: str


UNREACHABLE = "unreachable"
MISCONFIGURED = "misconfigured"
STATE = "state"
TOKEN = "token"  # noqa: S105 - the name of a failure
CLOCK = "clock"
SECRET = "secret"  # noqa: S105 - the name of a failure
LATE = "late"
DENIED = "denied"
DISABLED = "disabled"
WITHDRAWN = "withdrawn"
REFUSED = "refused"
GROUPS = "groups"
NOT_CONFIGURED = "not_configured"

_ADMIN = "Tell an administrator of SantaServer; its log names the cause."
_AGAIN = "Try again in a minute. If that does not help, tell an administrator of SantaServer."

FAILURES = {
    UNREACHABLE: Failure(HTTPStatus.BAD_GATEWAY, "{name} does not answer.", _AGAIN),
    MISCONFIGURED: Failure(HTTPStatus.BAD_GATEWAY, "Signing in with {name} is not set up correctly.", _ADMIN),
    STATE: Failure(
        HTTPStatus.BAD_REQUEST,
        "This sign-in is over: it was begun in another browser or over 10 minutes ago, or finished before.",
        "Start again on this page, at the address {public_url}, and let your browser accept cookies.",
    ),
    TOKEN: Failure(HTTPStatus.UNAUTHORIZED, "What {name} answered cannot be trusted.", _ADMIN),
    CLOCK: Failure(
        HTTPStatus.UNAUTHORIZED,
        "The clocks of {name} and of this server differ.",
        "Tell an administrator to check the time of the machine that SantaServer runs on.",
    ),
    SECRET: Failure(
        HTTPStatus.BAD_GATEWAY,
        "{name} does not accept this server any more.",
        "Tell an administrator: the client secret has expired or was replaced.",
    ),
    LATE: Failure(HTTPStatus.UNAUTHORIZED, "The sign-in took too long.", "Try again."),
    DENIED: Failure(
        HTTPStatus.UNAUTHORIZED,
        "{name} did not let you in, or you canceled.",
        "Try again, or ask whoever manages {name} for access to SantaServer.",
    ),
    DISABLED: Failure(
        HTTPStatus.UNAUTHORIZED, "Your account here is disabled.", "Ask an administrator of SantaServer."
    ),
    WITHDRAWN: Failure(
        HTTPStatus.UNAUTHORIZED,
        "Your organization has withdrawn your access to SantaServer.",
        "If that is a mistake, ask whoever manages {name} to assign you to the application again.",
    ),
    REFUSED: Failure(HTTPStatus.UNAUTHORIZED, "{name} refused the sign-in.", _ADMIN),
    GROUPS: Failure(
        HTTPStatus.OK,
        "Your groups could not be read from {name}, so roles that you have by a group are missing.",
        "Log out and sign in again later. If it stays so, tell an administrator of SantaServer.",
    ),
    NOT_CONFIGURED: Failure(
        HTTPStatus.NOT_FOUND, "There is no identity provider here.", "Use a local account."
    ),
    "not_assigned": Failure(
        HTTPStatus.UNAUTHORIZED,
        "You are not assigned to SantaServer in {name}.",
        "Ask whoever manages {name} to assign you, or a group of yours, to the application.",
    ),
    "conditional_access": Failure(
        HTTPStatus.UNAUTHORIZED,
        "Your organization asks for more, such as a second factor or a managed device.",
        "Try again and follow the steps that {name} shows.",
    ),
    "redirect_uri": Failure(
        HTTPStatus.UNAUTHORIZED,
        "{name} does not know the address of this server.",
        "Tell an administrator: the redirect URI {public_url}/api/v1/auth/oidc/callback is not registered.",
    ),
    "wrong_tenant": Failure(
        HTTPStatus.UNAUTHORIZED,
        "Your account belongs to another organization.",
        "Sign in with the account of the organization that runs this server.",
    ),
    "consent": Failure(
        HTTPStatus.UNAUTHORIZED,
        "SantaServer has no consent in {name} yet.",
        "An administrator of {name} has to grant it for everybody.",
    ),
}

_BY_NUMBER = {
    "50105": "not_assigned",
    "50076": "conditional_access",
    "50079": "conditional_access",
    "50131": "conditional_access",
    "53000": "conditional_access",
    "53003": "conditional_access",
    "50011": "redirect_uri",
    "50020": "wrong_tenant",
    "50034": "wrong_tenant",
    "50194": "misconfigured",
    "65001": "consent",
    "65004": "denied",
    "90094": "consent",
    "7000215": "secret",
    "7000222": "secret",
}
"""Better hints for numbers of Entra's; what is done depends on `error` alone."""
_BY_ERROR = {
    "access_denied": DENIED,
    "consent_required": "consent",
    "temporarily_unavailable": UNREACHABLE,
    "server_error": UNREACHABLE,
    "invalid_client": SECRET,
    "unauthorized_client": MISCONFIGURED,
    "invalid_scope": MISCONFIGURED,
    "unsupported_response_type": MISCONFIGURED,
}


class SignInRefused(Exception):  # noqa: N818 - what happened
    """A sign-in that ends here; nothing was changed."""

    def __init__(self, code: str, cause: str) -> None:
        """Keep the kind of failure for the person, and the cause for the log."""
        super().__init__(cause)
        self.code = code
        self.cause = cause

    @property
    def kind(self) -> str:
        """Which of `FAILURES` it is."""
        return self.code.partition(".")[0]

    @property
    def failure(self) -> Failure:
        """What the person is told."""
        return FAILURES[self.kind]


def of_provider(error: str, description: str, *, other: str = REFUSED) -> SignInRefused:
    """Return the failure for an OAuth error of the provider."""
    number = AADSTS.search(description)
    known = _BY_NUMBER.get(number[1]) if number else None
    code = known or _BY_ERROR.get(error, other)
    return SignInRefused(
        f"{code}.{number[1]}" if number else code,
        f"the provider says {error[:100]!r}: {description[:400]!r}",
    )


class Told(NamedTuple):
    """A failure in words."""

    message: str
    hint: str


def told(code: str, name: str, public_url: str) -> Told | None:
    """Return what to show for a code in an address; None for one that there is not."""
    found = FAILURE.fullmatch(code)
    failure = FAILURES.get(found[1]) if found else None
    if found is None or failure is None:
        return None
    words = {"name": name or "The identity provider", "public_url": public_url.rstrip("/")}
    number = f" (AADSTS{found[2]})" if found[2] else ""
    return Told(failure.message.format(**words) + number, failure.hint.format(**words))
