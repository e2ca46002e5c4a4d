"""A sync, and the state of a machine when one begins: shared by the decisions.

Structs are used where each request creates one: a frozen dataclass takes ten times as long for each field.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from santaserver.policy.states import PolicyState, RuleCounts


class Kind(StrEnum):
    """What happens to the Mac's rule table before the new rules are stored."""

    NORMAL = "normal"
    CLEAN = "clean"
    """All rules but the transitive ones are deleted."""
    CLEAN_ALL = "clean_all"
    """All rules are deleted."""

    @property
    def wire(self) -> str:
        """The client's name for it; since 2024.6 only upper case."""
        return self.value.upper()


class Reason(StrEnum):
    """Why a sync is a clean one."""

    OPERATOR = "operator"
    NEW_MACHINE = "new_machine"
    STATE_UNKNOWN = "state_unknown"
    IDENTITY_CONFLICT = "identity_conflict"
    CLIENT_REQUESTED = "client_requested"
    UNFINISHED_CLEAN = "unfinished_clean"
    COMPILER_WITHDRAWN = "compiler_withdrawn"
    LOST_POSTFLIGHT = "lost_postflight"
    RULES_HASH_CHANGED = "rules_hash_changed"
    RULE_COUNTS_CHANGED = "rule_counts_changed"
    RULES_MISSING = "rules_missing"
    SELF_HEAL = "self_heal"
    TOO_MANY_STATES = "too_many_states"
    RULES_WITHDRAWN = "rules_withdrawn"
    """The client takes all rules at each sync, and may not know that fewer means that some are gone."""


class Session(Struct, frozen=True):
    """One sync with its frozen target."""

    id: int
    target: PolicyState
    kind: Kind
    bases: tuple[PolicyState, ...]
    """States the Mac may be in; a normal sync sends everything that differs from any of them."""
    hash_before: str
    drift_suppressed: bool
    page_served: bool
    sent: int | None
    """Rules in all pages, known once the last page has been served; 0 when there is nothing to send."""

    @property
    def idle(self) -> bool:
        """Whether it sends nothing new, because every base has the target's rules and settings."""
        return self.sent == 0 and self.kind is Kind.NORMAL and not self.page_served


class Known(Struct, frozen=True):
    """What the server knows of a machine when a stage begins."""

    acked: PolicyState | None = None
    """The state the Mac confirmed; None when it is unknown."""
    acked_hash: str = ""
    possible: tuple[PolicyState, ...] = ()
    """Further states it may be in, or have rules of, because a confirmation never came."""
    recent_counts: tuple[int, ...] = ()
    """Rules sent by the syncs before, or received as their postflights said, the newest first."""
    pending: Session | None = None
    queued_clean: Kind | None = None
    drift_cleans: int = 0
    last_drift_clean_at: datetime | None = None
    drift_since: datetime | None = None
    """Since when its rule table has differed, despite clean syncs."""
    expected: RuleCounts | None = None
    """What its counts should have been when they were last seen to differ."""
    confirmed_before: bool = False
    """Whether any sync of this machine has ever been confirmed."""
    last_clean_at: datetime | None = None


def confirms_news(session: Session, acked: PolicyState | None) -> bool:
    """Tell whether a confirmed session proves something that the confirmed state before it did not."""
    return acked is None or not session.idle or session.target.signature != acked.signature
