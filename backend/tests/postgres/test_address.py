"""A database's address: read as it is meant, or refused at the start without being shown."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santaserver.database_address import canonical, crosses_network
from santaserver.settings import load
from santaserver.settings_area import SettingsError

BACKEND = Path(__file__).parents[2]
PASSWORD = "hunter2"
WRONG = [
    "postgresql://u:hunter2/x@db/d",
    "postgresql://u:hunter2@x@db/d",
    "postgresql://u:hunter2%x@db/d",
    "postgresql://u:hunter2#x@db/d",
    "postgresql://u:hunter2?x@db/d",
    "postgresql://u:hunter2:x@db/d",
    "postgresql://u:hunter2?x=1@db/d",
    "postgresql://u:/hunter2@db:5432/d",
    "postgresql://u:[hunter2@db/d",
    "postgresql://u:hunter2 x@db/d",
    "postgresql://u:hunter2%ff@db/d",
    "postgresql://u:hunter2%00@db/d",
    "postgresql://u:hunter2@db:port/d",
    "postgresql://u:hunter2@db:99999/d",
    "postgresql://u:hunter2@db/d?sslmode=hunter2",
    "postgresql://u:hunter2@::1/d",
    "postgresql:/u:hunter2@db/d",
    "mysql://u:hunter2@db/d",
    "u:hunter2@db/d",
]


@pytest.mark.parametrize("url", WRONG)
def test_an_address_that_cannot_be_meant_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({"DATABASE_URL": url})
    message = str(refused.value)
    assert message.startswith("DATABASE_URL: ")
    assert "hunter2" not in message
    assert "db" not in message.removeprefix("DATABASE_URL").replace("database", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgresql://u@/d?host=/run/pg",
        "postgresql://u@/d?host=/run/pg&port=5433",
        "postgresql://u:p%2F%40%25%23%3F@h:5432/d?sslmode=verify-full",
        "postgresql://u:p@[2001:db8::1]:5432/d",
        "postgresql://h1:5432,h2:5433/d?target_session_attrs=primary",
        "postgresql://u@%2Frun%2Fpg/d",
        "postgresql:///d",
        "postgresql://u:p!$&'()*+,;=-._~@h/d",
    ],
)
def test_good_addresses_stay_as_they_are(url: str) -> None:
    assert canonical(url) == url


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=30))
def test_any_password_reaches_the_driver_as_it_is(password: str) -> None:
    environ = {"POSTGRES_SERVER": "db", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": password}
    dsn = canonical(load(environ).database.dsn)
    _, parameters, _ = asyncpg.connect_utils._parse_connect_arguments(
        **dict.fromkeys(
            ("host", "port", "user", "password", "passfile", "database", "command_timeout", "ssl"), None
        ),
        **dict.fromkeys(("direct_tls", "server_settings", "target_session_attrs", "krbsrvname"), None),
        **dict.fromkeys(("gsslib", "service", "servicefile"), None),
        dsn=dsn,
        statement_cache_size=0,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
    )
    assert parameters.password == password


@pytest.mark.parametrize("words", [("migrate",), ("serve", "--uds", "SOCKET"), ("sessions",), ("demo",)])
@pytest.mark.parametrize("variable", ["DATABASE_URL", "POSTGRES_SERVER"])
def test_the_process_ends_with_the_code_for_a_configuration(
    words: tuple[str, ...], variable: str, tmp_path: Path
) -> None:
    words = tuple(str(tmp_path / "socket") if word == "SOCKET" else word for word in words)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "santaserver", *words],
        env={"PATH": os.environ["PATH"], variable: f"postgresql://u:{PASSWORD}/x@127.0.0.1/d"},
        cwd=BACKEND,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert variable in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("host", "crosses"),
    [
        ("db", True),
        ("db:5432", True),
        ("10.1.2.3", True),
        ("[2001:db8::1]:5432", True),
        ("[fe80::1%25eth0]", True),
        ("localhost,db", True),
        ("localhost:6432", False),
        ("127.0.0.1", False),
        ("[::1]", False),
        ("", False),
        ("%2Frun%2Fpostgresql", False),
    ],
)
def test_the_network_is_crossed_where_another_machine_is_named(host: str, crosses: bool) -> None:
    url = canonical(f"postgresql://u@{host}/d")
    assert crosses_network(url) is crosses
    (caution,) = load({"PUBLIC_URL": "https://s.example", "DATABASE_URL": url}).cautions or ("",)
    assert caution.startswith("DATABASE_URL does not say") is crosses
    assert load({"PUBLIC_URL": "https://s.example", "DATABASE_URL": f"{url}?sslmode=disable"}).cautions == ()


def test_a_folder_of_a_socket_is_no_network() -> None:
    assert not crosses_network("postgresql://u@/d?host=/run/postgresql")
    assert crosses_network("postgresql://u@/d?host=db.example.com")
