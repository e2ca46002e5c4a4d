"""TLS to PostgreSQL: with sslmode=verify-full, only the server that was meant is talked to."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from santaserver.__main__ import main as run_command
from santaserver.migrations.runner import migrate
from santaserver.settings import load
from santaserver.settings_area import SettingsError
from tests.support.certificates import Authority
from tests.support.postgres import Cluster, as_server, value
from tests.support.server import RunningServer

SESSION = "select version from pg_stat_ssl where pid = pg_backend_pid()"


def loopback(second: int = 77) -> str:
    """Return an address of this machine that no other test process uses."""
    return f"127.{second}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


class Secure:
    """A PostgreSQL that takes TLS connections, and the authority that its certificates are from."""

    def __init__(self, folder: Path) -> None:
        """Start it with a certificate for its address."""
        self.host = loopback()
        self.authority = Authority(folder)
        self.foreign = Authority(folder, "foreign")
        issued = self.authority.issue(self.host)
        files = (f"ssl_cert_file={issued.certificate}", f"ssl_key_file={issued.key}")
        self.cluster = Cluster("ssl=on", f"listen_addresses={self.host}", *files)
        rules = self.cluster.folder / "data/pg_hba.conf"
        rules.write_text(f"host all all {self.host}/32 trust\n{rules.read_text()}")
        self.restart()
        self.name = self.cluster.create()
        local = self.cluster.dsn(self.name)
        asyncio.run(migrate(local, as_server(local)))

    def restart(self) -> None:
        """Take changed files into use."""
        self.cluster.pause()
        self.cluster.resume()

    def show(self, *hosts: str, lasts: timedelta = timedelta(days=1)) -> None:
        """Show another certificate from now on."""
        self.authority.issue(*hosts, lasts=lasts)
        self.restart()

    def address(self, mode: str, authority: Authority | None = None) -> str:
        """Return the database's address by TCP."""
        trusted = (authority or self.authority).certificate
        return f"postgresql://santa@{self.host}/{self.name}?sslmode={mode}&sslrootcert={trusted}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    made = Secure(tmp_path_factory.mktemp("tls"))
    yield made
    made.cluster.stop()


@pytest.fixture
def secure(running: Secure) -> Secure:
    """The PostgreSQL with the right certificate."""
    running.show(running.host)
    return running


def ready(dsn: str) -> dict[str, str]:
    with RunningServer(dsn) as server, server.client() as client:
        checks: dict[str, str] = client.get("/health/ready").json()["checks"]
    return checks


def refused(dsn: str, caplog: pytest.LogCaptureFixture) -> str:
    """Return why a server says that it does not take this database."""
    caplog.clear()
    assert ready(dsn)["database"] == "failed"
    return " ".join(one.getMessage() for one in caplog.records if one.name == "santaserver.db")


def test_the_server_that_is_meant_is_talked_to_in_tls(secure: Secure) -> None:
    dsn = secure.address("verify-full")
    assert value(dsn, SESSION).startswith("TLSv1.")
    assert ready(dsn) == {"backend": "ok", "database": "ok", "migrations": "ok"}


@pytest.mark.parametrize("host", ["db.example.com", "127.0.0.1", "*.example.com"])
def test_a_certificate_for_another_name_is_refused(
    secure: Secure, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    secure.show(host)
    words = refused(secure.address("verify-full"), caplog)
    assert "its certificate is refused: the address has to name a host" in words
    assert f"not valid for '{secure.host}'" in words
    # This mode asks for the authority only, and says so by its name.
    assert value(secure.address("verify-ca"), SESSION).startswith("TLSv1.")


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_a_foreign_authority_is_refused(secure: Secure, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    words = refused(secure.address(mode, secure.foreign), caplog)
    assert "its certificate is refused" in words
    assert "unable to get local issuer certificate" in words


def test_an_expired_certificate_is_refused(secure: Secure, caplog: pytest.LogCaptureFixture) -> None:
    secure.show(secure.host, lasts=timedelta(days=-1))
    assert "certificate has expired" in refused(secure.address("verify-full"), caplog)


@pytest.mark.parametrize("parameter", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_file_that_is_not_there_stops_the_start(parameter: str) -> None:
    url = f"postgresql://u:a-password@db/d?sslmode=verify-full&{parameter}=/non%20existent/ca.pem"
    with pytest.raises(SettingsError) as caught:
        load({"DATABASE_URL": "postgresql://u@db/d", "DATABASE_OWNER_URL": url})
    assert caught.value.errors == [
        f"DATABASE_OWNER_URL: {parameter}: cannot read /non existent/ca.pem: No such file or directory"
    ]


def test_a_server_without_tls_is_refused(secure: Secure, caplog: pytest.LogCaptureFixture) -> None:
    plain = Cluster(f"listen_addresses={loopback(78)}")
    try:
        dsn = secure.address("verify-full").replace(secure.host, loopback(78))
        assert "rejected SSL upgrade" in refused(dsn, caplog)
    finally:
        plain.stop()


def test_a_migration_does_not_wait_for_a_certificate_to_change(
    secure: Secure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", secure.address("verify-full", secure.foreign))
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        assert run_command(("migrate",)) == 1
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    lines = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 1, "it was tried again"
    assert "the database was not migrated: its certificate is refused" in lines[0]
