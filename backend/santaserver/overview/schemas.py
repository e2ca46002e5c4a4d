"""The overview as the REST interface shows it."""

from datetime import datetime

from pydantic import BaseModel


class MachineNumbers(BaseModel):
    """Machines by state of their last sync."""

    total: int
    in_sync: int
    pending: int
    overdue: int
    never: int
    drifted: int


class RuleNumbers(BaseModel):
    """Live rules."""

    total: int


class EventNumbers(BaseModel):
    """Events of the last 24 hours."""

    blocked_24h: int
    unknown_24h: int
    total_24h: int


class ModeNumbers(BaseModel):
    """Machines by the client mode they report."""

    monitor: int
    lockdown: int
    standalone: int


class Hour(BaseModel):
    """Events of one hour."""

    hour: datetime
    blocked: int
    unknown: int
    allowed: int


class Overview(BaseModel):
    """The state of the fleet in numbers."""

    machines: MachineNumbers
    rules: RuleNumbers
    events: EventNumbers
    modes: ModeNumbers
    hourly: list[Hour]
