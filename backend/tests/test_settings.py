"""The environment: every variable, and errors named together."""

from pathlib import Path

import pytest

from santaserver.secret_key_checks import DEVELOPMENT_KEY
from santaserver.settings import Settings, load
from santaserver.settings_area import SettingsError

KEY = "kz7dQ2mWp0xVb4Nc9sLf6tRy1hGj8uEa"
OLDER_KEY = "5c1b8e0f7a2d4936b1c5e8f02a7d9346"
PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": KEY, "POSTGRES_PASSWORD": "long and random"}
PROVIDER = {
    "OIDC_ISSUER": "https://id.example.com",
    "CLIENT_ID": "x",
    "PUBLIC_URL": "https://santa.example.com",
}


def errors(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load(environ)
    return error.value.errors


def test_development_needs_nothing() -> None:
    settings = load({})
    assert settings.security.secret_key == DEVELOPMENT_KEY
    assert not settings.enrollment_required
    assert settings.database.dsn == "postgresql://santaserver@localhost:5432/santaserver"


def test_production_names_everything_that_is_missing_at_once() -> None:
    found = errors({"ENVIRONMENT": "production", "UVICORN_WORKERS": "many", "PUBLIC_URL": "santa"})
    assert [line.split()[0].rstrip(":") for line in found] == [
        "UVICORN_WORKERS",
        "PUBLIC_URL",
        "SECRET_KEY",
        "POSTGRES_PASSWORD",
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"SECRET_KEY": "changeme"}, "known default"),
        ({"SECRET_KEY": DEVELOPMENT_KEY}, "known default"),
        ({"SECRET_KEY": "short but random"}, "characters"),
        ({"SECRET_KEY": "a" * 40}, "different characters"),
        ({"SECRET_KEY": "abcabcabd" * 5}, "different characters"),
        ({"SECRET_KEY": "correct horse battery" * 3}, "repeats"),
        ({"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"}, "sequence"),
        ({"SECRET_KEY": "please-ChangeMe-before-you-use-this-key"}, "known default"),
        ({"SECRET_KEY_PREVIOUS": "changeme"}, "SECRET_KEY_PREVIOUS is a known default"),
        ({"SECRET_KEY_PREVIOUS": DEVELOPMENT_KEY}, "SECRET_KEY_PREVIOUS is a known default"),
        ({"SECRET_KEY_PREVIOUS": "short but random"}, "SECRET_KEY_PREVIOUS has 16 characters"),
        ({"SECRET_KEY_PREVIOUS": f"{OLDER_KEY}\n{'a' * 40}"}, "SECRET_KEY_PREVIOUS, line 2, has only 1"),
        ({"SECRET_KEY_PREVIOUS": KEY}, "SECRET_KEY_PREVIOUS is the same as SECRET_KEY"),
        ({"DATABASE_URL": "postgresql://u:Postgres@db/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u:chang%65me@db/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://db/x?user=u&password=santa"}, "DATABASE_URL"),
        ({"DATABASE_DIRECT_URL": "postgresql://u:postgres@db/x"}, "DATABASE_DIRECT_URL"),
        ({"PUBLIC_URL": "http://santa.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://10.0.0.7:8080/"}, "PUBLIC_URL"),
        ({"POSTGRES_PASSWORD": "postgres"}, "known default"),
        (
            {"CLIENT_SECRET": "secret", **PROVIDER},
            "known default",
        ),
    ],
)
def test_production_refuses_known_and_short_secrets(change: dict[str, str], word: str) -> None:
    found = errors({**PRODUCTION, **change})
    assert len(found) == 1
    assert word in found[0]
    assert next(iter(change.values())) not in found[0]


def test_production_requires_enrollment_unless_told_otherwise() -> None:
    assert load(PRODUCTION).enrollment_required
    assert not load({**PRODUCTION, "REQUIRE_ENROLLMENT": "false"}).enrollment_required


def test_secrets_can_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(KEY + "\n")
    settings = load({**PRODUCTION, "SECRET_KEY": "", "SECRET_KEY_FILE": str(secret)})
    assert settings.security.secret_key == KEY
    assert "both set" in errors({"SECRET_KEY": KEY, "SECRET_KEY_FILE": str(secret)})[0]
    assert "cannot read" in errors({"SECRET_KEY_FILE": str(tmp_path / "none")})[0]


@pytest.mark.parametrize(
    ("environ", "dsn"),
    [
        ({"DATABASE_URL": "postgres://u:p@h/d"}, "postgresql://u:p@h/d"),
        ({"DATABASE_URL": "postgresql+asyncpg://u@h/d"}, "postgresql://u@h/d"),
        ({"DATABASE_URL": "postgresql://u@/d?host=/run/pg"}, "postgresql://u@/d?host=/run/pg"),
        (
            {"POSTGRES_SERVER": "db", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p@:/", "POSTGRES_DB": "x"},
            "postgresql://u:p%40%3A%2F@db:5432/x",
        ),
        ({"POSTGRES_SERVER": "/run/pg"}, "postgresql://santaserver@/santaserver?host=/run/pg&port=5432"),
        ({"POSTGRES_SERVER": "::1"}, "postgresql://santaserver@[::1]:5432/santaserver"),
    ],
)
def test_the_database_address(environ: dict[str, str], dsn: str) -> None:
    assert load(environ).database.dsn == dsn


def test_a_pooler_has_an_address_of_its_own(tmp_path: Path) -> None:
    plain = load({"POSTGRES_SERVER": "db"}).database
    assert (plain.direct_dsn, plain.pooled) == (plain.dsn, False)
    behind = load({"POSTGRES_SERVER": "pooler", "DATABASE_DIRECT_URL": "postgres://u:secret-1@db/d"}).database
    assert behind.dsn == "postgresql://santaserver@pooler:5432/santaserver"
    assert (behind.direct_dsn, behind.pooled) == ("postgresql://u:secret-1@db/d", True)
    assert "secret-1" in behind.secrets
    assert "secret-1" not in repr(behind)
    file = tmp_path / "direct"
    file.write_text("postgresql://u:secret-2@db/d\n")
    by_file = {"DATABASE_URL": "postgresql://u@pooler/d", "DATABASE_DIRECT_URL_FILE": str(file)}
    assert load(by_file).database.direct_dsn == "postgresql://u:secret-2@db/d"
    file.write_text("postgresql://u:secret-3@db/d\n")
    assert load(by_file).database.reread().direct_dsn == "postgresql://u:secret-3@db/d"
    assert errors({"DATABASE_DIRECT_URL": "mysql://u:secret@db/d"}) == [
        "DATABASE_DIRECT_URL: it has to begin with postgresql://"
    ]


def test_variables_of_the_earlier_set_up_are_noted() -> None:
    assert len(load({"NGINX_USER": "nginx", "SUPERVISOR_USER": "root"}).notices) == 2


def test_secrets_do_not_show_in_a_representation() -> None:
    shown = repr(load({"SECRET_KEY": KEY, "SECRET_KEY_PREVIOUS": OLDER_KEY}))
    assert KEY not in shown
    assert OLDER_KEY not in shown
    assert isinstance(Settings(), Settings)
