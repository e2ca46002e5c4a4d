"""The overview in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field


class MachineNumbers(BaseModel):
    """Machines by state of their last sync."""

    total: int
    in_sync: int
    pending: int
    overdue: int
    never: int
    drifted: int
    withheld: int = Field(
        description="Machines whose tags do not follow their report: what they need would be blocked"
    )


class RuleNumbers(BaseModel):
    """Live rules."""

    total: int


class EventNumbers(BaseModel):
    """Events of the last 24 hours."""

    blocked_24h: int
    unknown_24h: int = Field(description="Without a matching rule, blocked or not")
    total_24h: int


class ModeNumbers(BaseModel):
    """Machines by the client mode they report."""

    monitor: int
    lockdown: int
    standalone: int


class Hour(BaseModel):
    """Events of one hour, each counted once."""

    hour: datetime
    blocked: int = Field(description="Blocked, whether a rule said so or none matched")
    unknown: int = Field(description="Allowed without a rule; in Lockdown they would have been blocked")
    allowed: int = Field(description="Allowed by a rule, a path or Santa itself")


class Overview(BaseModel):
    """The state of the fleet in numbers."""

    counted_at: datetime = Field(
        description="A fleet of 1,000 machines or more is not counted for each request: the numbers are at "
        "most one second old for every 10,000 machines, and never more than 30 seconds"
    )
    machines: MachineNumbers
    rules: RuleNumbers
    events: EventNumbers
    modes: ModeNumbers
    hourly: list[Hour]
