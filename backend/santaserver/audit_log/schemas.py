"""The audit log in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field

from santaserver.audit import ActorKind, ObjectType


class AuditedAct(BaseModel):
    """One entry of the audit log."""

    seq: int = Field(description="Position in the log, from 0 without gaps")
    at: datetime
    actor_kind: ActorKind
    actor_id: int | None = Field(description="Of a user; null for others")
    actor_name: str | None = Field(description="As it was then; null when the details were erased")
    action: str
    object_type: ObjectType
    object_id: str = Field(description="`*` for all of a type")
    policy_seq: int | None = Field(description="The number of the policy change that this act was part of")
    request_id: str
    address: str | None = Field(description="Where the request came from")
    reason: str | None
    before: dict[str, object] | None
    after: dict[str, object] | None
    erased: bool = Field(description="Whether the details (name, address, reason, before, after) were erased")


class AuditCheckpoint(BaseModel):
    """What the log was at one time: keep it outside, and a later rewriting of the log shows."""

    at: datetime
    size: int = Field(description="Entries of the log")
    root: str = Field(description="Root of the Merkle tree over them (RFC 6962), in hexadecimal")
    note: str = Field(description="The checkpoint as a note (C2SP tlog-checkpoint)")
    signed: bool = Field(description="Whether the note is signed, which needs `AUDIT_KEY_FILE`")
    verifier_key: str | None = Field(description="The key that `audit verify --key` takes")
