"""File accesses and audit events of agents in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field


class AccessingProcess(BaseModel):
    """One process of the chain that led to a file access."""

    pid: int
    file_path: str
    file_sha256: str
    cdhash: str
    signing_id: str
    team_id: str


class FileAccess(BaseModel):
    """An access to a file that a rule in the Mac's profile watches."""

    id: int
    machine_id: str
    hostname: str
    occurred_at: datetime
    received_at: datetime
    rule_name: str
    rule_version: str
    target: str = Field(description="The path that was accessed")
    decision: str = Field(description="Santa's word, such as FILE_ACCESS_DECISION_DENIED")
    process_chain: list[AccessingProcess] = Field(description="The process that did it, then its parents")


class AgentAudit(BaseModel):
    """Something an agent did on its own, such as a rule that a user approved in standalone mode."""

    id: int
    machine_id: str
    hostname: str
    occurred_at: datetime
    received_at: datetime
    kind: str
    identifier: str = Field(description="What it concerns; empty when the agent did not report it")
    decision: str
