"""Everything the environment can set, grouped by area; field comments are the reference.

`load` is a pure function of a mapping, so nothing else reads `os.environ` and tests set no environment. All
errors are collected and reported together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from santaserver.confirmation import Limit, parse_limit
from santaserver.database_address import canonical, check_server, crosses_network, files_of
from santaserver.ed25519 import seed_of
from santaserver.identity_checks import IdentityValues, group_roles_of, identity_errors
from santaserver.redaction import of_address
from santaserver.secret_key_checks import DEVELOPMENT_KEY, secret_key_errors
from santaserver.secret_keys import SecretKeys, previous_keys
from santaserver.signing import Signer, signer_of
from santaserver.weak_secrets import is_known_default, is_loopback, password_of

IGNORED_VARIABLES = ("NGINX_USER", "SUPERVISOR_USER")
"""Variables of the earlier set-up: accepted, without effect, named once in the log."""

SECRET_VARIABLES = (
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "POSTGRES_PASSWORD",
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "DATABASE_OWNER_URL",
    "CLIENT_SECRET",
    "AUDIT_KEY",
    "PROFILE_SIGNING_CERTIFICATE",
    "PROFILE_SIGNING_KEY",
)
"""Each may instead be given as NAME_FILE with the path of a file that holds the value."""


class _Area(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False, str_strip_whitespace=True)


AreaT = TypeVar("AreaT", bound=_Area)


def _address(url: str) -> str:
    return canonical(url) if url else ""


class DatabaseSettings(_Area):
    """Where PostgreSQL is. `DATABASE_URL` wins over the single values."""

    url: Annotated[str, AfterValidator(_address)] = Field("", alias="DATABASE_URL", repr=False)
    """postgresql://user:password@host:port/name, or ?host=/directory of a Unix socket."""
    server: Annotated[str, AfterValidator(check_server)] = Field("localhost", alias="POSTGRES_SERVER")
    """Host name, or the directory of PostgreSQL's Unix socket when it starts with a slash."""
    port: int = Field(5432, alias="POSTGRES_PORT", ge=1, le=65535)
    user: str = Field("santaserver", alias="POSTGRES_USER", min_length=1)
    password: str = Field("", alias="POSTGRES_PASSWORD", repr=False)
    name: str = Field("santaserver", alias="POSTGRES_DB", min_length=1)
    direct_url: Annotated[str, AfterValidator(_address)] = Field("", alias="DATABASE_DIRECT_URL", repr=False)
    """PostgreSQL itself, for migrations and LISTEN, where the address above leads to a pooler in transaction
    mode, such as PgBouncer. Default: no pooler.
    """
    owner_url: Annotated[str, AfterValidator(_address)] = Field("", alias="DATABASE_OWNER_URL", repr=False)
    """PostgreSQL itself, as the role that owns the schema, for migrations only: the role of the address above
    then neither makes nor drops tables, and only appends to the audit log. Default: one role for all.
    """
    url_file: str = Field("", alias="DATABASE_URL_FILE")
    direct_url_file: str = Field("", alias="DATABASE_DIRECT_URL_FILE")
    owner_url_file: str = Field("", alias="DATABASE_OWNER_URL_FILE")
    password_file: str = Field("", alias="POSTGRES_PASSWORD_FILE")

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses that are set, by the names of their variables."""
        set_ = {
            "DATABASE_URL": self.url,
            "DATABASE_DIRECT_URL": self.direct_url,
            "DATABASE_OWNER_URL": self.owner_url,
        }
        return {name: url for name, url in set_.items() if url}

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The variables that name a file with a secret."""
        files = (
            ("DATABASE_URL_FILE", self.url_file),
            ("DATABASE_DIRECT_URL_FILE", self.direct_url_file),
            ("DATABASE_OWNER_URL_FILE", self.owner_url_file),
            ("POSTGRES_PASSWORD_FILE", self.password_file),
        )
        return tuple(name for name, path in files if path)

    @property
    def secrets(self) -> frozenset[str]:
        """The values to keep out of logs; well-known default values are not secrets."""
        values = {
            self.password,
            *of_address(self.url),
            *of_address(self.direct_url),
            *of_address(self.owner_url),
        }
        return frozenset(value for value in values if not is_known_default(value))

    def reread(self) -> "DatabaseSettings":
        """Return the settings with what the files hold now; raise `SettingsError` when that is unusable."""
        errors: list[str] = []
        values = {field.alias: getattr(self, name) for name, field in type(self).model_fields.items()}
        for variable in self.secret_files:
            del values[variable.removesuffix("_FILE")]
        present = {str(name): str(value) for name, value in values.items() if value != ""}
        _read_secret_files(present, errors)
        found = _area(type(self), present, errors)
        if errors:
            raise SettingsError(errors)
        return found

    @property
    def pooled(self) -> bool:
        """Whether a pooler stands in front of PostgreSQL, so that a session lasts for one transaction."""
        return bool(self.direct_url)

    @property
    def direct_dsn(self) -> str:
        """The address of PostgreSQL itself."""
        return self.direct_url or self.dsn

    @property
    def dsn(self) -> str:
        """The address asyncpg takes: postgresql://…"""
        if self.url:
            return self.url
        login = quote(self.user, safe="")
        if self.password:
            login += ":" + quote(self.password, safe="")
        if self.server.startswith("/"):
            folder = quote(self.server, safe="/")
            return f"postgresql://{login}@/{quote(self.name, safe='')}?host={folder}&port={self.port}"
        host = f"[{self.server}]" if ":" in self.server else self.server
        return f"postgresql://{login}@{host}:{self.port}/{quote(self.name, safe='')}"


class SecuritySettings(_Area):
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


class IdentitySettings(_Area):
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


class RetentionSettings(_Area):
    """How long events and the history of Macs are kept."""

    event_days: int = Field(90, alias="EVENT_RETENTION_DAYS", ge=1, le=3650)
    """Days that events, file accesses and audit events of Macs are kept, by when they happened."""
    count_days: int = Field(400, alias="COUNT_RETENTION_DAYS", ge=1, le=3650)
    """Days that the counts of events by hour, day and program are kept."""
    history_days: int = Field(3650, alias="HISTORY_RETENTION_DAYS", ge=1, le=36500)
    """Days for which the policy of a Mac can be looked up, by its layers and tags of that time."""
    confirmation_days: int = Field(400, alias="CONFIRMATION_RETENTION_DAYS", ge=1, le=3650)
    """Days for which it can be looked up what a Mac had confirmed."""


def _audit_key(pem: str) -> str:
    if pem:
        seed_of(pem)
    return pem


class AuditSettings(_Area):
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


class ProfileSettings(_Area):
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


class PolicySettings(_Area):
    """How changes of the policy are handled."""

    confirm_above: Annotated[str, AfterValidator(_checked_limit)] = Field("10%", alias="CONFIRM_ABOVE")
    """A change that concerns more Macs has to be confirmed: a share of all Macs, or a number such as 50."""

    widely_used_macs: int = Field(50, alias="WIDELY_USED_MACS", ge=1, le=1000)
    """Blocking a program that more Macs than this ran in the last 30 days is worth a warning."""

    @property
    def confirm_limit(self) -> Limit:
        """The same, read."""
        return parse_limit(self.confirm_above)


class ServerSettings(_Area):
    """How this process serves and logs."""

    environment: Literal["development", "production"] = Field("development", alias="ENVIRONMENT")
    uds: str = Field("", alias="UVICORN_UDS")
    """Unix socket that `serve` binds itself when it is not handed one down."""
    workers: int = Field(1, alias="UVICORN_WORKERS", ge=1, le=64)
    """Workers of this container; each is a process of its own that the supervisor starts."""
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
        return (*unset, *_unverified(self.database))


class SettingsError(Exception):
    """Invalid settings: one line for each wrong variable."""

    def __init__(self, errors: list[str]) -> None:
        """Keep the lines, in the order of the areas."""
        super().__init__("\n".join(errors))
        self.errors = errors


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`; raise `SettingsError` with all errors at once."""
    errors: list[str] = []
    values = {name: value for name, value in environ.items() if value.strip()}
    _read_secret_files(values, errors)
    settings = Settings(
        database=_area(DatabaseSettings, values, errors),
        security=_area(SecuritySettings, values, errors),
        identity=_area(IdentitySettings, values, errors),
        server=_area(ServerSettings, values, errors),
        retention=_area(RetentionSettings, values, errors),
        audit=_area(AuditSettings, values, errors),
        policy=_area(PolicySettings, values, errors),
        profiles=_area(ProfileSettings, values, errors),
        notices=tuple(
            f"{name} is obsolete and has no effect" for name in IGNORED_VARIABLES if name in environ
        ),
    )
    errors += _unreadable_files(settings.database)
    if not any(error.startswith("CLIENT_SECRET") for error in errors):
        errors += settings.identity.errors(settings.server.public_url)
    if not any(error.startswith("PROFILE_SIGNING") for error in errors):
        errors += settings.profiles.errors()
    if settings.production:
        errors += _production_errors(settings)
    if errors:
        raise SettingsError(errors)
    return settings if settings.security.secret_key else _with_development_key(settings)


def _read_secret_files(values: dict[str, str], errors: list[str]) -> None:
    for name in SECRET_VARIABLES:
        path = values.get(f"{name}_FILE")
        if path is None:
            continue
        if name in values:
            errors.append(f"{name} and {name}_FILE are both set: set only one of them")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{name}_FILE: cannot read {path}: {error.__class__.__name__}")
            continue
        if not values[name]:
            errors.append(f"{name}_FILE: {path} is empty")


def _area(kind: type[AreaT], values: Mapping[str, str], errors: list[str]) -> AreaT:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        details = error.errors()
        errors += [_sentence(detail) for detail in details]
        wrong = {str(detail["loc"][0]) for detail in details}
        return kind.model_validate({name: value for name, value in values.items() if name not in wrong})


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    shown = "" if name in SECRET_VARIABLES or "@" in str(detail["input"]) else f" (is {detail['input']!r})"
    return f"{name}: {detail['msg'].removeprefix('Value error, ')}{shown}"


def _production_errors(settings: Settings) -> list[str]:
    errors = []
    previous = previous_keys(settings.security.secret_key_previous)
    errors += secret_key_errors(settings.security.secret_key, previous)
    errors += _password_problems(settings.database)
    public_url = settings.server.public_url
    if public_url.lower().startswith("http:") and not is_loopback(public_url):
        errors.append(
            "PUBLIC_URL begins with http: passwords and sessions would cross the network in the clear; "
            "put TLS in front and set the https:// address"
        )
    if is_known_default(settings.identity.client_secret):
        errors.append("CLIENT_SECRET is a known default: take the one of your identity provider")
    return errors


def _unverified(database: DatabaseSettings) -> Iterator[str]:
    for name, url in database.addresses.items():
        if crosses_network(url) and "sslmode=" not in url:
            yield (
                f"{name} does not say whether PostgreSQL is to prove who it is: add sslmode=verify-full and "
                "sslrootcert=FILE with the CA that issued its certificate, or sslmode=disable where the "
                "network between is your own"
            )


def _unreadable_files(database: DatabaseSettings) -> Iterator[str]:
    for name, url in database.addresses.items():
        for parameter, path in files_of(url).items():
            try:
                Path(path).open("rb").close()
            except OSError as error:
                yield f"{name}: {parameter}: cannot read {path}: {error.strerror}"


def _password_problems(database: DatabaseSettings) -> list[str]:
    problems = [
        f"{name} has a known default as password: choose another one"
        for name, url in database.addresses.items()
        if is_known_default(password_of(url))
    ]
    if not database.url and not database.password:
        problems.append("POSTGRES_PASSWORD is missing: set it, POSTGRES_PASSWORD_FILE or DATABASE_URL")
    elif not database.url and is_known_default(database.password):
        problems.append("POSTGRES_PASSWORD is a known default: choose another one")
    return problems


def _with_development_key(settings: Settings) -> Settings:
    security = settings.security.model_copy(update={"secret_key": DEVELOPMENT_KEY})
    return replace(settings, security=security)
