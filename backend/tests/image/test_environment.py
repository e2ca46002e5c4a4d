"""A wrong environment ends the container at once, with a message that names what to change."""

from pathlib import Path

import asyncpg
import pytest

from tests.image.conftest import NewContainer
from tests.image.container import PYTHON, SOCKETS, Container
from tests.support.postgres import OWNER, SERVER, Cluster, as_server, execute

CONFIGURATION = 78
VARIABLES = """
import pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"santaserver\\0serve\\0" in (process / "cmdline").read_bytes():
        for variable in (process / "environ").read_bytes().split(b"\\0"):
            print(variable.partition(b"=")[0].decode())
"""
"""Prints which variables the backend's processes have."""


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"PUBLIC_URL": "not an address"}, "PUBLIC_URL"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT"),
        ({"UVICORN_WORKERS": "many"}, "instances"),
        ({"SANTA__PROXY__LIMITS__HEAD_SZE": "1KiB"}, "head_size"),
        ({"TRUSTED_PROXIES": "10.0.0.0/99"}, "trusted_proxies"),
    ],
)
def test_an_error_is_named_and_ends_the_container(
    new_container: NewContainer, environ: dict[str, str], named: str
) -> None:
    container = new_container(environ)
    assert container.exit_code() == CONFIGURATION
    assert named.lower() in container.logs().lower()
    assert "Traceback" not in container.logs()


def test_a_secret_may_be_a_file(new_container: NewContainer, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("a-key-that-comes-from-a-file-and-is-long-enough\n")
    secret.chmod(0o644)
    options = [f"--volume={secret}:/run/secret:ro"]
    new_container({"SECRET_KEY": "", "SECRET_KEY_FILE": "/run/secret"}, options).until_ready()


def test_variables_of_the_earlier_set_up_are_accepted(new_container: NewContainer) -> None:
    container: Container = new_container({"NGINX_USER": "nginx", "SUPERVISOR_USER": "root"})
    container.until_ready()
    assert "NGINX_USER" in container.logs()


def test_a_database_that_refuses_is_reported_without_its_password(new_container: NewContainer) -> None:
    url = "postgresql://santa:very-secret-word@/nowhere?host=/run/postgres"
    container = new_container({"DATABASE_URL": url})
    assert container.exit_code() != 0
    assert "nowhere" in container.logs()
    assert "very-secret-word" not in container.logs()


def test_only_the_migration_logs_in_as_the_owner(
    new_container: NewContainer, shared_cluster: Cluster
) -> None:
    name = shared_cluster.create()
    where = f"@/{name}?host={SOCKETS}"
    environ = {
        "DATABASE_URL": f"postgresql://{SERVER}{where}",
        "DATABASE_OWNER_URL": f"postgresql://{OWNER}{where}",
    }
    container: Container = new_container(environ, database=name).until_ready()
    variables = container.exec(PYTHON, "-c", VARIABLES).stdout.split()
    assert "DATABASE_URL" in variables
    assert "DATABASE_OWNER_URL" not in variables
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(as_server(shared_cluster.dsn(name)), "drop table rule_version")
