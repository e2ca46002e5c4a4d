"""docker/compose.yaml in Docker Compose: it starts hardened, with everything behind one port."""

import json

import httpx

from tests.docker.engine import COMPOSE, Site, docker, inspect, run
from tests.image.container import PYTHON, SUPERVISE
from tests.support.santa_client import SimulatedMac

PASSWORD = "a-long-password-of-the-tests"
VOLUME = "santaserver_database"


def test_one_command_starts_both_and_a_mac_syncs(site: Site) -> None:
    site.compose("up", "--detach", "--wait")
    assert site.is_ready()
    # As docs/operations.md makes the first account and enrollment.
    own = ("exec", "--workdir", "/app", "--interactive", site.container(), PYTHON, "-m", "santaserver")
    run("docker", *own, "create-admin", "admin", "--password-stdin", given=PASSWORD)
    secret = run("docker", *own, "create-enrollment", "all Macs").stdout.split()[-1]
    with httpx.Client(base_url=site.url, headers={"Origin": site.url}, timeout=30) as client:
        account = {"username": "admin", "password": PASSWORD}
        client.post("/api/v1/auth/login", json=account).raise_for_status()
        rule = {"rule_type": "TEAMID", "identifier": "EQHXZ8M8AV", "policy": "BLOCKLIST"}
        client.post("/api/v1/rules", json=rule).raise_for_status()
        mac = SimulatedMac(site.url, secret=secret)
        mac.sync()
        assert ("TEAMID", "EQHXZ8M8AV") in mac.rules
        mac.close()
        # The database is on its volume: new containers, the same fleet.
        site.compose("down", "--timeout=10")
        site.up()
        client.post("/api/v1/auth/login", json=account).raise_for_status()
        assert client.get(f"/api/v1/machines/{mac.machine_id}").json()["sync_state"] == "in_sync"


def test_the_container_has_the_limits_of_the_file_and_the_database_no_port(site: Site) -> None:
    site.up()
    found = inspect(site.container())
    limits, config = found["HostConfig"], found["Config"]
    assert config["User"] == "101:101"
    assert limits["ReadonlyRootfs"] is True
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert (limits["Memory"], limits["PidsLimit"]) == (512 << 20, 128)
    assert set(limits["Tmpfs"]) == {"/tmp"}  # noqa: S108 - the one place
    assert set(found["NetworkSettings"]["Ports"]) == {"8080/tcp"}
    database = inspect(site.container("postgres"))
    assert not any(database["NetworkSettings"]["Ports"].values())
    assert list(database["NetworkSettings"]["Networks"]) == [VOLUME]
    assert json.loads(docker("network", "inspect", VOLUME).stdout)[0]["Internal"] is True


def test_it_stops_in_its_grace_period_with_exit_code_0(site: Site) -> None:
    site.up()
    site.compose("stop", "santaserver")
    found = docker("ps", "--all", "--quiet", "--filter=name=santaserver-santaserver").stdout.strip()
    assert inspect(found)["State"]["ExitCode"] == 0


def test_nothing_starts_without_its_secrets(site: Site) -> None:
    for name in ("POSTGRES_PASSWORD", "SECRET_KEY", "PUBLIC_URL"):
        kept, site.environ[name] = site.environ[name], ""
        failed = site.compose("up", "--detach", check=False)
        site.environ[name] = kept
        assert failed.returncode != 0
        assert f"set {name}" in failed.stderr
    assert docker("ps", "--all", "--quiet").stdout == ""


def test_the_development_file_mounts_the_sources_over_the_backend(site: Site) -> None:
    over = f"--file={COMPOSE.with_name('compose.dev.yaml')}"
    site.up(over)
    mounts = {mount["Destination"]: mount for mount in inspect(site.container())["Mounts"]}
    assert mounts["/app/santaserver"]["RW"] is False
    site.compose(over, "exec", "--no-TTY", "santaserver", SUPERVISE, "restart", "backend")
    assert site.is_ready()
