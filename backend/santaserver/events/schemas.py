"""Events in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field


class CertificateClaim(BaseModel):
    """What some Macs report about a certificate."""

    cn: str
    org: str
    ou: str
    valid_from: datetime | None
    valid_until: datetime | None
    macs: int = Field(description="Macs that report it; 20 stands for 20 and more")


class SigningCertificate(BaseModel):
    """One certificate of a signing chain."""

    sha256: str
    cn: str
    org: str
    ou: str
    valid_from: datetime | None
    valid_until: datetime | None
    claims: list[CertificateClaim] = Field(
        description="What Macs report when they contradict each other, most Macs first; else empty"
    )


class Event(BaseModel):
    """One execution that a Mac reported."""

    id: int
    machine_id: str
    hostname: str
    occurred_at: datetime
    received_at: datetime
    decision: str
    blocked: bool
    file_name: str
    file_path: str
    file_sha256: str
    executing_user: str
    parent_name: str
    pid: int | None
    ppid: int | None
    team_id: str
    signing_id: str
    cdhash: str
    bundle_name: str
    bundle_id: str
    certificate_sha256: str
    publisher: str
    signing_chain: list[SigningCertificate]
