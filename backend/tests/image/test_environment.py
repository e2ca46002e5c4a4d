"""A wrong environment ends the container at once, with a message that names what to change."""

from pathlib import Path

import pytest

from tests.image.conftest import NewContainer
from tests.image.container import Container

CONFIGURATION = 78


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
def test_a_error_is_named_and_ends_the_container(
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
