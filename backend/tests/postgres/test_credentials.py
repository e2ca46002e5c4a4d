"""Passwords in files are rotated while the server runs."""

import logging
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from santaserver.logs import JsonFormatter
from santaserver.settings import load
from santaserver.settings_area import SettingsError
from tests.conftest import ADMIN
from tests.support.postgres import WITH_PASSWORD, Cluster, execute
from tests.support.server import RunningServer

OLD, NEW = "the-password-of-before", "the/pass word@after:"


@pytest.fixture
def role(dsn: str) -> Callable[[str], None]:
    """Set the password of the role that has to show one; it stays, for partitions may be its own."""
    execute(
        dsn,
        f"do $$ begin if not exists (select from pg_roles where rolname = '{WITH_PASSWORD}') then "
        f"create role {WITH_PASSWORD} superuser login; end if; end $$",
    )
    return lambda password: execute(dsn, f"alter role {WITH_PASSWORD} password '{password}'")


def by_password(cluster: Cluster, dsn: str, file: Path) -> dict[str, str]:
    name = dsn.partition("@/")[2].partition("?")[0]
    return {
        "DATABASE_URL": "",
        "POSTGRES_SERVER": str(cluster.folder),
        "POSTGRES_USER": WITH_PASSWORD,
        "POSTGRES_DB": name,
        "POSTGRES_PASSWORD_FILE": str(file),
    }


def by_address(_: Cluster, dsn: str, file: Path) -> dict[str, str]:
    assert dsn
    return {"DATABASE_URL": "", "DATABASE_URL_FILE": str(file)}


def written(variables: dict[str, str], dsn: str, password: str) -> str:
    if "DATABASE_URL_FILE" not in variables:
        return password + "\n"
    encoded = password.replace("/", "%2F").replace("@", "%40").replace(":", "%3A").replace(" ", "%20")
    return dsn.replace("santa@", f"{WITH_PASSWORD}:{encoded}@") + "\n"


@pytest.mark.parametrize("means", [by_password, by_address])
def test_a_rotated_password_is_used_for_new_connections(
    cluster: Cluster,
    dsn: str,
    role: Callable[[str], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    means: Callable[[Cluster, str, Path], dict[str, str]],
) -> None:
    caplog.set_level(logging.INFO, "santaserver")
    file = tmp_path / "secret"
    variables = means(cluster, dsn, file)
    role(OLD)
    file.write_text(written(variables, dsn, OLD))
    with RunningServer(dsn, variables) as server, server.client() as client:
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        assert client.post("/api/v1/auth/login", json=login).status_code == httpx.codes.OK

        role(NEW)
        file.write_text(written(variables, dsn, NEW))
        end_connections(dsn)
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        assert any("connections use the changed" in record.message for record in caplog.records)

        # What the file said before is of no use any more, even where the server would take it again.
        role(OLD)
        end_connections(dsn)
        refused = client.get("/api/v1/rules")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.headers["retry-after"]

        # While a file is being replaced, what was known stays.
        role(NEW)
        for halfway in (b"", b"\xff\xfe"):
            file.write_bytes(halfway)
            end_connections(dsn)
            assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        file.unlink()
        end_connections(dsn)
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
    shown = "\n".join(record.getMessage() for record in caplog.records)
    assert "keep the previous password" in shown
    assert OLD not in shown
    assert NEW not in shown


def end_connections(dsn: str) -> None:
    """End those of the role that has a password."""
    execute(
        dsn,
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
        "where usename = $1 and datname = current_database()",
        WITH_PASSWORD,
    )


def test_a_learned_password_is_kept_out_of_the_log() -> None:
    formatter = JsonFormatter(["first-secret"])
    formatter.hide(["second-secret"])
    line = formatter.format(
        logging.LogRecord("x", logging.INFO, "", 0, "first-secret second-secret", None, None)
    )
    assert "secret" not in line.replace("***", "")


def test_files_are_read_again_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("postgresql://a:one@db/x")
    settings = load({"DATABASE_URL_FILE": str(file)}).database
    assert settings.dsn == "postgresql://a:one@db/x"
    file.write_text("postgresql://a:two@db/x\n")
    again = settings.reread()
    assert again.dsn == "postgresql://a:two@db/x"
    assert again.secrets >= {"two"}
    assert again.reread() == again
    for wrong in ("mysql://a:three@db/x", "", "postgresql://a:thr ee@db/x"):
        file.write_text(wrong)
        with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
            again.reread()
        assert "thr" not in str(caught.value)
