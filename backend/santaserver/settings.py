"""Everything the environment can set, grouped by area; field comments are the reference.

`load` takes a mapping, so nothing else reads `os.environ` and tests set no environment; besides, it reads
only files that the settings name. All errors are collected and reported together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from santaserver.confirmation import Limit, parse_limit
from santaserver.database_settings import DatabaseSettings, password_errors, unreadable_files, unverified
from santaserver.ed25519 import seed_of
from santaserver.identity_checks import IdentityValues, group_roles_of, identity_errors
from santaserver.secret_key_checks import DEVELOPMENT_KEY, secret_key_errors
from santaserver.secret_keys import SecretKeys, previous_keys
from santaserver.settings_area import Area, SettingsError, read_area, read_secret_files
from santaserver.signing import Signer, signer_of
from santaserver.weak_secrets import is_known_default, is_loopback

IGNORED_VARIABLES = ("NGINX_USER", "SUPERVISOR_USER")
"""Variables of the earlier set-up: accepted, without effect, named once in the log."""


class SecuritySettings(Area):
    """Secrets, sessions and enrollment."""

    secret_key: str = Field("", alias="SECRET_KEY", repr=False)
    """From it all keys are derived (secret_keys.py): those of sync cursors, XSRF tokens and device cookies;
    at least 32 characters, the same for every worker and replica.
    """
    secret_key_previous: str = Field("", alias="SECRET_KEY_PREVIOUS", repr=False)
    """The keys before it, one a line: what they signed or encrypted is still accepted."""
    require_enrollment: bool | None = Field(None, alias="REQUIRE_ENROLLMENT")
    """Whether a Mac must show an enrollment secret. Default: in production."""
    session_hours: int = Field(12, alias="SESSION_HOURS", ge=1, le=24 * 30)
    """How long a login lasts at most."""
    session_idle_minutes: int = Field(480, alias="SESSION_IDLE_MINUTES", ge=1, le=60 * 24 * 30)
    """How long a login lasts without use."""
    session_admin_hours: int = Field(8, alias="SESSION_ADMIN_HOURS", ge=1, le=24 * 30)
    """The same for users who may change users; never longer than for others."""
    session_admin_idle_minutes: int = Field(30, alias="SESSION_ADMIN_IDLE_MINUTES", ge=1, le=60 * 24 * 30)


class IdentitySettings(Area):
    """The identity provider: Microsoft Entra ID by `TENANT_ID`, or any other by `OIDC_ISSUER`."""

    tenant_id: Annotated[str, AfterValidator(str.lower)] = Field("", alias="TENANT_ID")
    """Directory (tenant) ID of Microsoft Entra ID, a GUID."""
    client_id: str = Field("", alias="CLIENT_ID")
    client_secret: str = Field("", alias="CLIENT_SECRET", repr=False)
    oidc_issuer: str = Field("", alias="OIDC_ISSUER")
    """Issuer of an OpenID provider. Beside TENANT_ID: the issuer of a national cloud of Microsoft's."""
    oidc_name: str = Field("", alias="OIDC_NAME", max_length=60)
    """What the login page calls the provider. Default: Microsoft, or the host of the issuer."""
    oidc_group_roles: str = Field("", alias="OIDC_GROUP_ROLES")
    """Roles of groups of the provider: GROUP=ROLE, separated by semicolons; in Entra by object id."""

    @property
    def issuer(self) -> str:
        """What the provider calls itself; empty without one."""
        if self.tenant_id and not self.oidc_issuer:
            return f"https://login.microsoftonline.com/{self.tenant_id}/v2.0"
        return self.oidc_issuer

    @property
    def provider_name(self) -> str:
        """What people know the provider by."""
        return self.oidc_name or ("Microsoft" if self.tenant_id else urlsplit(self.issuer).hostname or "")

    @property
    def group_roles(self) -> dict[str, frozenset[str]]:
        """The roles of groups."""
        return group_roles_of(self.oidc_group_roles)

    def errors(self, public_url: str) -> list[str]:
        """Return what is wrong with these together."""
        return identity_errors(
            IdentityValues(
                tenant_id=self.tenant_id,
                issuer=self.oidc_issuer,
                client_id=self.client_id,
                client_secret=self.client_secret,
                name=self.oidc_name,
                group_roles=self.oidc_group_roles,
                public_url=public_url,
            )
        )


NO_PUBLIC_URL = (
    "PUBLIC_URL is not set, so logging in to the console works over HTTPS only: set it to the https:// "
    "address that browsers use; for a trial over plain HTTP set ENVIRONMENT=development and "
    "PUBLIC_URL=http://HOST:PORT"
)


class RetentionSettings(Area):
    """How long events, syncs and the history of Macs are kept."""

    event_days: int = Field(90, alias="EVENT_RETENTION_DAYS", ge=1, le=3650)
    """Days that events, file accesses and audit events of Macs are kept, by when they happened."""
    count_days: int = Field(400, alias="COUNT_RETENTION_DAYS", ge=1, le=3650)
    """Days that the counts of events by hour, day and program are kept."""
    history_days: int = Field(3650, alias="HISTORY_RETENTION_DAYS", ge=1, le=36500)
    """Days for which the policy of a Mac can be looked up, by its layers and tags of that time."""
    confirmation_days: int = Field(400, alias="CONFIRMATION_RETENTION_DAYS", ge=1, le=3650)
    """Days for which it can be looked up what a Mac had confirmed."""
    sync_days: int = Field(90, alias="SYNC_RETENTION_DAYS", ge=1, le=3650)
    """Days that syncs which sent something are shown; no decision depends on them."""


def _audit_key(pem: str) -> str:
    if pem:
        seed_of(pem)
    return pem


class AuditSettings(Area):
    """Checkpoints of the audit log, and how long its details are kept."""

    key: Annotated[str, AfterValidator(_audit_key)] = Field("", alias="AUDIT_KEY", repr=False)
    """Ed25519 private key that signs checkpoints, PEM as `openssl genpkey -algorithm ed25519` makes it."""
    origin: str = Field("", alias="AUDIT_ORIGIN", pattern=r"^[^\s+]*$", max_length=200)
    """Name of the log in checkpoints. Default: host of PUBLIC_URL, then /audit."""
    checkpoint_url: str = Field("", alias="AUDIT_CHECKPOINT_URL", pattern=r"^$|^https?://[^/\s@]+(/\S*)?$")
    """Where each checkpoint is sent by POST, as text."""
    checkpoint_file: str = Field("", alias="AUDIT_CHECKPOINT_FILE", pattern=r"^$|^/")
    """File that each checkpoint is appended to."""
    detail_days: int = Field(0, alias="AUDIT_DETAIL_RETENTION_DAYS", ge=0, le=36500)
    """Days after which names, addresses, reasons and contents of entries are erased; 0: never."""

    @property
    def seed(self) -> bytes | None:
        """The private key."""
        return seed_of(self.key) if self.key else None


class ProfileSettings(Area):
    """The signature of configuration profiles."""

    certificate: str = Field("", alias="PROFILE_SIGNING_CERTIFICATE", repr=False)
    """Certificate that signs configuration profiles, PEM, followed by the rest of its chain. Without
    one they are not signed.
    """
    key: str = Field("", alias="PROFILE_SIGNING_KEY", repr=False)
    """Its private key, RSA or ECDSA, PEM without a passphrase."""

    @cached_property
    def signer(self) -> Signer | None:
        """What signs; None without a certificate."""
        return signer_of(self.certificate, self.key) if self.certificate else None

    def errors(self) -> list[str]:
        """Return what is wrong with these together."""
        if bool(self.certificate) != bool(self.key):
            missing = "PROFILE_SIGNING_KEY" if self.certificate else "PROFILE_SIGNING_CERTIFICATE"
            return [f"{missing} is missing: profiles are signed with a certificate and its private key"]
        try:
            signer_of(self.certificate, self.key) if self.certificate else None
        except ValueError as error:
            return [f"PROFILE_SIGNING_CERTIFICATE, PROFILE_SIGNING_KEY: {error}"]
        return []


def _checked_limit(text: str) -> str:
    parse_limit(text)
    return text


class PolicySettings(Area):
    """How changes of the policy are handled."""

    confirm_above: Annotated[str, AfterValidator(_checked_limit)] = Field("10%", alias="CONFIRM_ABOVE")
    """A change that concerns more Macs has to be confirmed: a share of all Macs, or a number such as 50."""

    widely_used_macs: int = Field(50, alias="WIDELY_USED_MACS", ge=1, le=1000)
    """Blocking a program that more Macs than this ran in the last 30 days is worth a warning."""

    @property
    def confirm_limit(self) -> Limit:
        """The same, read."""
        return parse_limit(self.confirm_above)


class ServerSettings(Area):
    """How this process serves and logs."""

    environment: Literal["development", "production"] = Field("development", alias="ENVIRONMENT")
    uds: str = Field("", alias="UVICORN_UDS")
    """Unix socket that `serve` binds itself when it is not handed one down."""
    workers: int = Field(1, alias="UVICORN_WORKERS", ge=1, le=64)
    """Workers of this container; each is a process of its own that the supervisor starts."""
    supervisor_socket: str = Field("", alias="SUPERVISOR_SOCKET", pattern=r"^$|^/")
    """Where santa-supervise is asked for its status. Default: nowhere, as without santa-supervise."""
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="LOG_LEVEL")
    cache_memory_mib: int = Field(64, alias="CACHE_MEMORY_MIB", ge=8, le=65536)
    """MiB of memory for the caches of a worker; a rule takes about 0.5 KB."""
    public_url: str = Field("", alias="PUBLIC_URL", pattern=r"^$|^https?://[^/\s]+/?$")
    """Where browsers find the console, for example https://santa.example.com."""


@dataclass(frozen=True)
class Settings:
    """The whole configuration of one process."""

    database: DatabaseSettings = field(default_factory=lambda: DatabaseSettings.model_validate({}))
    security: SecuritySettings = field(default_factory=lambda: SecuritySettings.model_validate({}))
    identity: IdentitySettings = field(default_factory=lambda: IdentitySettings.model_validate({}))
    server: ServerSettings = field(default_factory=lambda: ServerSettings.model_validate({}))
    retention: RetentionSettings = field(default_factory=lambda: RetentionSettings.model_validate({}))
    audit: AuditSettings = field(default_factory=lambda: AuditSettings.model_validate({}))
    policy: PolicySettings = field(default_factory=lambda: PolicySettings.model_validate({}))
    profiles: ProfileSettings = field(default_factory=lambda: ProfileSettings.model_validate({}))
    notices: tuple[str, ...] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """The values to keep out of logs; well-known default values are not secrets."""
        keys = (*self.audit.key.splitlines()[1:-1], *self.profiles.key.splitlines()[1:-1])
        values = {self.security.secret_key, self.identity.client_secret, *keys}
        values |= set(previous_keys(self.security.secret_key_previous))
        return self.database.secrets | {value for value in values if not is_known_default(value)}

    @property
    def secret_keys(self) -> SecretKeys:
        """The keys that sign and encrypt, by purpose; those before the last rotation are accepted."""
        return SecretKeys(self.security.secret_key, previous_keys(self.security.secret_key_previous))

    @property
    def audit_origin(self) -> str:
        """The name of the audit log in checkpoints."""
        return self.audit.origin or f"{urlsplit(self.server.public_url).netloc or 'santaserver'}/audit"

    @property
    def production(self) -> bool:
        """Whether defaults meant for a developer's machine are refused."""
        return self.server.environment == "production"

    @property
    def enrollment_required(self) -> bool:
        """Whether a Mac without an enrollment secret is refused."""
        required = self.security.require_enrollment
        return self.production if required is None else required

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies carry `Secure` and the `__Host-` prefix."""
        return not self.server.public_url.startswith("http://")

    @property
    def cautions(self) -> tuple[str, ...]:
        """Warnings about valid settings with surprising effects, logged once at the start."""
        unset = () if self.server.public_url else (NO_PUBLIC_URL,)
        return (*unset, *unverified(self.database))


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`; raise `SettingsError` with all errors at once."""
    errors: list[str] = []
    values = {name: value for name, value in environ.items() if value.strip()}
    read_secret_files(values, errors)
    settings = Settings(
        database=read_area(DatabaseSettings, values, errors),
        security=read_area(SecuritySettings, values, errors),
        identity=read_area(IdentitySettings, values, errors),
        server=read_area(ServerSettings, values, errors),
        retention=read_area(RetentionSettings, values, errors),
        audit=read_area(AuditSettings, values, errors),
        policy=read_area(PolicySettings, values, errors),
        profiles=read_area(ProfileSettings, values, errors),
        notices=tuple(
            f"{name} is obsolete and has no effect" for name in IGNORED_VARIABLES if name in environ
        ),
    )
    errors += unreadable_files(settings.database)
    if not any(error.startswith("CLIENT_SECRET") for error in errors):
        errors += settings.identity.errors(settings.server.public_url)
    if not any(error.startswith("PROFILE_SIGNING") for error in errors):
        errors += settings.profiles.errors()
    if settings.production:
        errors += _production_errors(settings)
    if errors:
        raise SettingsError(errors)
    return settings if settings.security.secret_key else _with_development_key(settings)


def _production_errors(settings: Settings) -> list[str]:
    errors = []
    previous = previous_keys(settings.security.secret_key_previous)
    errors += secret_key_errors(settings.security.secret_key, previous)
    errors += password_errors(settings.database)
    public_url = settings.server.public_url
    if public_url.lower().startswith("http:") and not is_loopback(public_url):
        errors.append(
            "PUBLIC_URL begins with http: passwords and sessions would cross the network in the clear; "
            "put TLS in front and set the https:// address"
        )
    if is_known_default(settings.identity.client_secret):
        errors.append("CLIENT_SECRET is a known default: take the one of your identity provider")
    return errors


def _with_development_key(settings: Settings) -> Settings:
    security = settings.security.model_copy(update={"secret_key": DEVELOPMENT_KEY})
    return replace(settings, security=security)
