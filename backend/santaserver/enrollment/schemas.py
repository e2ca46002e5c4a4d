"""Enrollments in the REST interface."""

from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field

from santaserver.enrollment.payloads import PayloadKind
from santaserver.enrollment.refused_secret import RefusalReason
from santaserver.inputs import Input, Line, Text, Time, unchanged
from santaserver.policy.targets import RuleType
from santaserver.tokens.schemas import NetworkText

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


ClientCertificate = Annotated[bool, Field(description="Whether a Mac has to show a client certificate too")]
CertificateSerial = Annotated[
    bool,
    Field(
        description="Whether the subject of that certificate has to contain the Mac's serial number; "
        "needs `client_certificate`"
    ),
]
Networks = Annotated[
    list[NetworkText],
    Field(max_length=50, description="Addresses and networks (CIDR) that may use the secret; empty: any"),
]


class EnrollmentTerms(Input):
    """What an enrollment asks of Macs."""

    label: Label
    quota: Quota = None
    serial_allowlist: list[Annotated[Line, Field(min_length=1, max_length=100)]] | None = Field(
        None, max_length=MAX_SERIALS, description="Serial numbers that may use it; null: any"
    )
    expires_at: ExpiresAt = None
    client_certificate: ClientCertificate = False
    certificate_serial: CertificateSerial = False
    reenroll_retired: ReenrollRetired = False
    tags: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field(
        [], max_length=50, description="Names of tags whose members its Macs become"
    )


class EnrollmentCreate(EnrollmentTerms):
    """A new enrollment."""

    networks: Networks = Field([])


class EnrollmentPatch(Input):
    """What to change of an enrollment; what is left out stays."""

    label: Label = Field(default_factory=unchanged)
    quota: Quota = Field(default_factory=unchanged)
    expires_at: ExpiresAt = Field(default_factory=unchanged)
    client_certificate: ClientCertificate = Field(default_factory=unchanged)
    certificate_serial: CertificateSerial = Field(default_factory=unchanged)
    reenroll_retired: ReenrollRetired = Field(default_factory=unchanged)


class SecretRotate(Input):
    """Another secret for an enrollment."""

    previous_valid_until: Time | None = Field(
        None, description="How long the present secret still works, at most 180 days; null: it ends at once"
    )
    networks: Networks | None = Field(
        None, description="Addresses and networks (CIDR) that may use the new one; null: those of the present"
    )


class SecretPatch(Input):
    """What to change of a secret; what is left out stays."""

    networks: Networks = Field(default_factory=unchanged)
    valid_until: Time | None = Field(
        default_factory=unchanged, description="Of a previous secret: how long it still works"
    )


class RefusedRequests(BaseModel):
    """Requests with a secret that were refused."""

    count: int
    last_at: AwareDatetime
    last_reason: RefusalReason
    last_address: str


class EnrollmentSecret(BaseModel):
    """A secret of an enrollment; the secret itself is not kept."""

    id: int
    current: bool = Field(description="Whether it is the present one, which profiles contain")
    created_at: AwareDatetime
    created_by: str = Field(description="User name; empty when created on the command line")
    valid_until: AwareDatetime | None = Field(description="null for the present one")
    networks: list[str] = Field(description="Addresses and networks (CIDR) that may use it; empty: any")
    machines: int = Field(description="Macs that showed it at their last preflight")
    refused: RefusedRequests | None


class SerialChange(Input):
    """Serial numbers to add to an enrollment's list and to remove from it."""

    add: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field([], max_length=MAX_SERIALS)
    remove: list[Annotated[Line, Field(min_length=1, max_length=100)]] = Field([], max_length=MAX_SERIALS)


class SerialList(BaseModel):
    """Which serial numbers may use an enrollment."""

    serials: list[str] | None = Field(description="In upper case, sorted; null: any; empty: none")
    etag: str = Field(description="Of the enrollment, for `If-Match`")


class Enrollment(EnrollmentTerms):
    """An enrollment."""

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
    secrets: list[EnrollmentSecret] = Field(
        description="The newest first: the present one and the previous ones, at least those Macs still show"
    )
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

    payloads: list[PayloadKind] = Field(
        list(get_args(PayloadKind)),
        min_length=1,
        max_length=10,
        description="What it contains: the configuration, which needs the secret, and the approvals that "
        "Santa needs from macOS",
    )
    secret: Line = Field(
        "", max_length=500, description="The enrollment's present secret, shown when it was created"
    )
    secret_in: Literal["header", "url"] = Field(
        "header", description="`url` for agents that cannot send headers of their own"
    )
    essentials: list[Annotated[Line, Field(max_length=50)]] = Field(
        [], max_length=50, description="Keys of essential publishers to allow always"
    )
    static_rules: list[StaticRule] = Field([], max_length=200, description="Further programs to allow always")
    server_roots: Text = Field(
        "",
        max_length=100_000,
        description="Certificates (PEM) of the authorities that issued the server's certificate, if Macs do "
        "not trust them anyway",
    )
    signed: bool = Field(True, description="Whether it is signed, if the server has a certificate for that")


class ProfileSigner(BaseModel):
    """The certificate that signs profiles."""

    name: str
    expires_at: AwareDatetime


class ProfileOptions(BaseModel):
    """What the profiles of this server can be like."""

    server: str = Field(description="Where Macs sync, by PUBLIC_URL or the address of the request")
    signer: ProfileSigner | None = Field(description="null: profiles are not signed")
