"""Enrollments in the REST interface."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from santaserver.inputs import Input, Line, Time, unchanged
from santaserver.policy.targets import RuleType

MAX_SERIALS = 5_000

State = Literal["active", "full", "expired", "revoked"]


Label = Annotated[Line, Field(min_length=1, max_length=200, description="What the secret is for")]
Quota = Annotated[int | None, Field(ge=1, le=2**31 - 1, description="Machine limit; null: none")]
ExpiresAt = Annotated[
    Time | None, Field(description="From then on the secret is refused, also to Macs enrolled with it")
]
ReenrollRetired = Annotated[
    bool,
    Field(description="Whether a retired Mac of it that syncs joins the fleet again; else it is refused"),
]


class EnrollmentCreate(Input):
    """A new enrollment."""

    label: Label
    quota: Quota = None
    serial_allowlist: list[Annotated[Line, Field(min_length=1, max_length=100)]] | None = Field(
        None, max_length=MAX_SERIALS, description="Serial numbers that may use it; null: any"
    )
    expires_at: ExpiresAt = None
    client_certificate: bool = Field(False, description="Whether a Mac has to show a client certificate too")
    reenroll_retired: ReenrollRetired = False
    tags: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field(
        [], max_length=50, description="Names of tags whose members its Macs become"
    )


class EnrollmentPatch(Input):
    """What to change of an enrollment; what is left out stays."""

    label: Label = Field(default_factory=unchanged)
    quota: Quota = Field(default_factory=unchanged)
    expires_at: ExpiresAt = Field(default_factory=unchanged)
    reenroll_retired: ReenrollRetired = Field(default_factory=unchanged)


class SerialChange(Input):
    """Serial numbers to add to an enrollment's list and to remove from it."""

    add: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field([], max_length=MAX_SERIALS)
    remove: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field([], max_length=MAX_SERIALS)


class SerialList(BaseModel):
    """Which serial numbers may use an enrollment."""

    serials: list[str] | None = Field(description="In upper case, sorted; null: any; empty: none")
    etag: str = Field(description="Of the enrollment, for `If-Match`")


class Enrollment(EnrollmentCreate):
    """An enrollment; its secret is not kept."""

    label: str
    serial_allowlist: list[str] | None
    expires_at: AwareDatetime | None
    tags: list[str]
    id: int
    state: State
    machines: int = Field(description="Macs enrolled with it")
    created_at: AwareDatetime
    created_by: str = Field(description="User name; empty when created on the command line")
    revoked_at: AwareDatetime | None
    etag: str = Field(description="For `If-Match`; names its own fields, not its tags and Macs")


class EnrollmentCreated(BaseModel):
    """A new enrollment with its secret, which cannot be shown again."""

    enrollment: Enrollment
    secret: str


class StaticRule(Input):
    """A program that the profile allows, regardless of the server's rules."""

    rule_type: RuleType
    identifier: Line = Field(min_length=1, max_length=500)


class Essential(BaseModel):
    """A publisher whose programs a Mac may need to get out of a lock-out."""

    key: str
    name: str
    use: str = Field(description="What it is for, such as device management")
    team_id: str


class ProfileRequest(Input):
    """The content of a configuration profile."""

    secret: Line = Field(
        min_length=1, max_length=500, description="The enrollment's secret, shown at creation"
    )
    secret_in: Literal["header", "url"] = Field(
        "header", description="`url` for agents that cannot send headers of their own"
    )
    essentials: list[Annotated[Line, Field(max_length=50)]] = Field(
        [], max_length=50, description="Keys of essential publishers to allow always"
    )
    static_rules: list[StaticRule] = Field([], max_length=200, description="Further programs to allow always")
