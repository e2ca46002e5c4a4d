"""Where PostgreSQL is, and as whom to log in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from santaserver.database_address import canonical, check_server, crosses_network, files_of
from santaserver.redaction import of_address
from santaserver.settings_area import Area, SettingsError, read_area, read_secret_files
from santaserver.weak_secrets import is_known_default, password_of


def _address(url: str) -> str:
    return canonical(url) if url else ""


class DatabaseSettings(Area):
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
        read_secret_files(present, errors)
        found = read_area(type(self), present, errors)
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


def unverified(database: DatabaseSettings) -> Iterator[str]:
    """Warn of addresses that let any PostgreSQL of another machine answer."""
    for name, url in database.addresses.items():
        if crosses_network(url) and "sslmode=" not in url:
            yield (
                f"{name} does not say whether PostgreSQL is to prove who it is: add sslmode=verify-full and "
                "sslrootcert=FILE with the CA that issued its certificate, or sslmode=disable where the "
                "network between is your own"
            )


def unreadable_files(database: DatabaseSettings) -> Iterator[str]:
    """Name the files of addresses that cannot be read."""
    for name, url in database.addresses.items():
        for parameter, path in files_of(url).items():
            try:
                Path(path).open("rb").close()
            except OSError as error:
                yield f"{name}: {parameter}: cannot read {path}: {error.strerror}"


def password_errors(database: DatabaseSettings) -> list[str]:
    """Say what is wrong with the passwords in production."""
    errors = [
        f"{name} has a known default as password: choose another one"
        for name, url in database.addresses.items()
        if is_known_default(password_of(url))
    ]
    if not database.url and not database.password:
        errors.append("POSTGRES_PASSWORD is missing: set it, POSTGRES_PASSWORD_FILE or DATABASE_URL")
    elif not database.url and is_known_default(database.password):
        errors.append("POSTGRES_PASSWORD is a known default: choose another one")
    return errors
