"""Starts, restarts and ends: processes are replaced, no request is refused, the end is clean."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.image.conftest import NewContainer
from tests.image.container import PYTHON, SUPERVISE, Container
from tests.support.postgres import Cluster


@contextmanager
def hammering(container: Container, path: str) -> Iterator[list[str]]:
    """Request a path continuously and collect all responses other than 200."""
    failures: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                response = httpx.get(container.url + path, timeout=30)
            except httpx.TransportError as error:
                failures.append(repr(error))
            else:
                if response.status_code != httpx.codes.OK:
                    failures.append(f"{response.status_code} {response.text}")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def until(what: str, condition: object, container: Container) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what}:\n{container.logs()}"
        time.sleep(0.1)


@pytest.mark.parametrize("restart", ["restart", "rolling-restart"])
@pytest.mark.parametrize(("service", "path"), [("proxy", "/health"), ("backend", "/api/v1/openapi.json")])
def test_a_service_restarts_without_a_refused_request(
    new_container: NewContainer, restart: str, service: str, path: str
) -> None:
    container = new_container().until_ready()
    before = container.services()[service]["pid"]
    with hammering(container, path) as failures:
        container.exec(SUPERVISE, restart, service)
    assert failures == []
    assert container.services()[service]["pid"] != before


@pytest.mark.parametrize("service", ["proxy", "backend"])
def test_a_killed_service_comes_back(new_container: NewContainer, service: str) -> None:
    container = new_container().until_ready()
    before = container.services()[service]["pid"]
    container.exec(PYTHON, "-c", f"import os; os.kill({before}, 9)")
    until(
        "it does not come back", lambda: container.services()[service]["pid"] not in {before, None}, container
    )
    container.until_ready()


def test_it_stops_in_its_grace_period_with_exit_code_0(new_container: NewContainer) -> None:
    container = new_container().until_ready()
    assert container.stop() == 0
    state = container.inspect()["State"]
    assert state["OOMKilled"] is False


def test_it_stops_cleanly_while_it_is_still_starting(new_container: NewContainer) -> None:
    assert new_container().stop() == 0


def test_two_containers_that_start_at_once_migrate_an_empty_database_once(
    new_container: NewContainer, shared_cluster: Cluster
) -> None:
    empty = shared_cluster.create()
    pair = [new_container(database=empty), new_container(database=empty)]
    for container in pair:
        container.until_ready()
        assert container.services()["migrate"]["restarts"] == 0


def test_it_waits_for_a_database_that_comes_later(
    new_container: NewContainer, shared_cluster: Cluster
) -> None:
    container = new_container().until_ready()
    shared_cluster.pause()
    try:
        until(
            "it stays ready",
            lambda: container.status("/health/ready") == httpx.codes.SERVICE_UNAVAILABLE,
            container,
        )
        assert container.status("/health") == httpx.codes.OK
    finally:
        shared_cluster.resume()
        shared_cluster.folder.chmod(0o755)
    container.until_ready()


def test_the_health_check_of_the_image_tells_the_truth(new_container: NewContainer) -> None:
    container = new_container().until_ready()
    assert container.exec(SUPERVISE, "healthcheck").returncode == 0
    assert container.exec(SUPERVISE, "healthcheck", "--ready").returncode == 0
