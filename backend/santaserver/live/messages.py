"""Live messages about the channel and about machines; others are defined with their subjects."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class Hello(BaseModel):
    """The first message on every socket."""

    type: Literal["hello"] = "hello"
    at: datetime


MachineChange = Literal["enrolled", "clean_sync_ordered", "monitor_mode_started", "monitor_mode_ended"]


class MachineChanged(BaseModel):
    """A machine was enrolled or got an order."""

    type: Literal["machine"] = "machine"
    at: datetime
    machine_id: str
    hostname: str
    change: MachineChange


class SyncProgress(BaseModel):
    """A machine began a sync (preflight) or finished one (postflight)."""

    type: Literal["sync"] = "sync"
    at: datetime
    machine_id: str
    hostname: str
    stage: Literal["preflight", "postflight"]
    kind: Literal["normal", "clean", "clean_all"]
