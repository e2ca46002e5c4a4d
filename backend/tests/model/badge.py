"""What a Mac shows of itself, and whether the server has to serve it: written from the specification.

A Mac is bound to the enrollment that it was first seen with. Another one is refused at every stage, until an
administrator releases the Mac and a preflight brings the other one. A retired Mac is refused as well.
"""

from dataclasses import dataclass
from enum import Enum

SECRETS = 3
"""Enrollments of a world."""
RETURNING = 2
"""The one whose retired Macs may come back by themselves."""

Secret = int | None
"""The place of an enrollment; None for a request without a secret, which this server permits."""


class Verdict(Enum):
    """What has to become of a request."""

    SERVED = "served"
    REFUSED = "refused"
    EITHER = "either"
    """It depends on which of two things that happened at the same time was first."""


@dataclass
class Badge:
    """The secret in a Mac's profile, and what the server should know of it."""

    shown: Secret
    kept: Secret = None
    retired: bool = False
    unsure: bool = False
    """Something about it was changed, and no response has told yet what came of it."""
    changing: bool = False
    """An administrator is taking it out of the fleet or back into it right now."""
    forgotten: bool = False
    """It was deleted: whatever it shows next enrolls it."""

    def verdict(self, shown: Secret) -> Verdict:
        """Tell what has to become of a request with the Mac's id."""
        if self.unsure:
            return Verdict.EITHER
        fits = self.kept in {None, shown}
        if self.retired:
            back = fits and shown == RETURNING
            return Verdict.EITHER if back else Verdict.REFUSED
        return Verdict.SERVED if fits else Verdict.REFUSED

    @property
    def strangers(self) -> list[Secret]:
        """Return the valid secrets of others that the Mac has to be protected from."""
        every: list[Secret] = [None, *range(SECRETS)]
        return [
            secret for secret in every if secret != self.shown and self.verdict(secret) is Verdict.REFUSED
        ]

    @property
    def remedy(self) -> str:
        """Return what an administrator has to do so that the Mac is served; empty for nothing."""
        if self.unsure:
            return ""
        if self.retired:
            return "restore"
        return "release" if self.verdict(self.shown) is Verdict.REFUSED else ""

    @property
    def certain(self) -> bool:
        """Whether the model can tell what becomes of a Mac that shows something else from now on."""
        return not self.unsure and (self.kept is not None or not self.retired)

    def show(self, secret: Secret) -> None:
        """A new profile comes with another secret."""
        self.unsure = self.kept is None  # the first secret of all binds
        self.shown = secret

    def change(self, what: str) -> None:
        """An administrator begins to do something about it."""
        self.unsure = True
        self.changing = what != "release"
        self.retired = what == "retire"
        self.forgotten = what == "delete"

    def changed(self) -> None:
        """Whatever an administrator did is done."""
        if self.changing:
            self.changing, self.unsure = False, self.forgotten

    def preflight_served(self) -> None:
        """The Mac is bound to what it showed."""
        if not self.changing:
            self.kept, self.retired, self.unsure, self.forgotten = self.shown, False, False, False
