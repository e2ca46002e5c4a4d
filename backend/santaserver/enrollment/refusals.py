"""Tells operators of refused credentials: in the log and on the Mac's page, but not for each request.

Whoever is refused tries again every few minutes, and someone who tries many machine ids must not fill the
log.
"""

import logging
from datetime import datetime, timedelta

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.db import Connection
from santaserver.enrollment import machine_repository as repository
from santaserver.enrollment.credentials import Credential
from santaserver.errors import Forbidden

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
"""For one Mac."""
WINDOW = timedelta(minutes=1)
MOST = 20
"""For all Macs of a process in a window."""

OTHER = (
    "This Mac is enrolled with another credential: an administrator has to release it on the machine's page, "
    "or to revoke its enrollment"
)
BEGIN = "This Mac may change its credential with a preflight only: start with one"
RETIRED = "This Mac was retired: an administrator has to restore it on the machine's page"


class CredentialRefused(Forbidden):
    """The secret is valid, but not for this Mac."""

    def __init__(self, machine: int, kept: int | None, detail: str) -> None:
        """Keep the Mac's row id and the enrollment that it belongs to."""
        super().__init__(detail)
        self.machine = machine
        self.kept = kept


class RefusedCredentials:
    """Which refusals were told lately."""

    def __init__(self, memory: CacheMemory) -> None:
        """Know none."""
        self._told: LruCache[int | str, datetime] = LruCache(
            memory, "refused_credentials", lambda *_: sizes.ENTRY
        )
        self._since: datetime | None = None
        self._count = 0

    def due(self, machine: int | str, now: datetime) -> bool:
        """Tell whether a refusal is to be told now; not when there are too many."""
        last = self._told.get(machine)
        if last is not None and timedelta(0) <= now - last < EVERY:
            return False
        if self._since is None or not timedelta(0) <= now - self._since < WINDOW:
            self._since, self._count = now, 0
        if self._count >= MOST:
            if self._count == MOST:
                log.warning("more than %d Macs a minute are refused; the rest is not logged", MOST)
                self._count += 1
            return False
        self._count += 1
        self._told.put(machine, now)
        return True


async def tell(
    connection: Connection,
    refused: CredentialRefused,
    request: tuple[str, str],
    shown: Credential,
    now: datetime,
) -> None:
    """Log a refused request, given by its machine id and stage, and store it for the machine's page."""
    with_what = (
        "no enrollment secret" if shown.enrollment is None else f"the secret of enrollment {shown.enrollment}"
    )
    if shown.certificate is not None:
        with_what += f" and the client certificate {shown.certificate.hex()}"
    if refused.kept is None:
        kept = ""
    elif refused.kept == shown.enrollment:
        kept = ", but not with the client certificate that it is known by"
    else:
        kept = f", but it belongs to enrollment {refused.kept}"
    log.warning(
        "refused %s of %s, which came with %s%s. %s", request[1], request[0], with_what, kept, refused.detail
    )
    await repository.store_refusal(connection, refused.machine, shown.enrollment, now)
