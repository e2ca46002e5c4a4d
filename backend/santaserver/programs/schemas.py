"""Programs in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.events.schemas import CertificateClaim

Outcome = Literal["blocked", "allowed"]


class SignatureClaim(BaseModel):
    """A signature that some Macs claim for a program."""

    team_id: str
    signing_id: str
    cdhash: str
    certificate_sha256: str
    macs: int = Field(description="Macs that said so; 20 stands for 20 and more")


class BundleClaim(BaseModel):
    """A bundle that some Macs report a program in."""

    bundle_id: str
    bundle_name: str
    bundle_version: str
    bundle_hash: str
    macs: int = Field(description="Macs that report it; 20 stands for 20 and more")


class Program(BaseModel):
    """One program file by content, with everything that a rule can name it by."""

    id: int
    file_name: str
    file_path: str = Field(description="Where it was first seen")
    sha256: str
    cdhash: str
    signing_id: str
    certificate_sha256: str = Field(description="Leaf certificate; empty when it is not signed")
    team_id: str
    publisher: str
    bundle_id: str
    bundle_name: str
    bundle_version: str
    bundle_hash: str
    first_seen_at: datetime
    last_seen_at: datetime = Field(description="Exact to an hour")
    blocked: int = Field(description="Executions that were blocked, as long as counts are kept")
    claims: list[SignatureClaim] = Field(
        description="What Macs say of its signature, most Macs first; more than one entry is a contradiction"
    )
    certificate_claims: list[CertificateClaim] = Field(
        description="What Macs report about the leaf certificate when they contradict each other; else empty"
    )
    bundle_claims: list[BundleClaim] = Field(
        description="The bundles that Macs report it in when there are several; else empty"
    )
    allowed: int = Field(description="Executions that were allowed, as long as counts are kept")
