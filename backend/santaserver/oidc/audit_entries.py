"""The audit entries of sign-ins through the provider."""

import logging
from datetime import datetime

from santaserver import audit
from santaserver.audit import ANONYMOUS, Actor, RequestInfo, Target
from santaserver.instruments import Counter
from santaserver.oidc.failures import FAILURES, SignInRefused
from santaserver.oidc.people import Person
from santaserver.state import AppState

log = logging.getLogger(__name__)

UNKNOWN = "*"
PROVIDER_REFUSED = Counter(
    "provider_sign_ins_refused_total",
    "Sign-ins through the identity provider that were refused, by the kind of failure.",
    kind=FAILURES,
)


def provider_actor(issuer: str) -> Actor:
    """Return the provider as who acts: it makes people known, gives roles and ends sessions."""
    return Actor(issuer, kind="provider")


async def refused(
    state: AppState,
    error: SignInRefused,
    request: RequestInfo,
    network: str,
    now: datetime,
    *,
    begun: bool,
    person: Person | None = None,
) -> None:
    """Log and record a sign-in that failed; of a flood by strangers, one entry a minute."""
    PROVIDER_REFUSED.add(error.kind)
    log.warning("a sign-in through the identity provider was refused (%s): %s", error.code, error.cause)
    attempts = 1 if begun else state.refusals.count(network, now)
    if not attempts:
        return
    after: dict[str, object] = {"reason": error.code, "cause": error.cause}
    if attempts > 1:
        after["attempts"] = attempts
    if person is not None:
        after |= {"authority": person.authority, "subject": person.subject, "name": person.username}
    target: Target = ("user", UNKNOWN)
    entry = audit.entry(ANONYMOUS, now, "login_refused", target, None, after, request=request)
    async with state.database.read(network) as connection, connection.transaction():
        await audit.store(connection, [entry])
