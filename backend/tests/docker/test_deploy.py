"""`cargo xtask deploy` and `rollback` in Docker, with Compose and with a single container."""

from tests.docker.engine import IMAGE, Site, derived, docker, inspect

BROKEN = "ENV SANTA__PROXY__NO_SUCH_KEY=1"


def test_a_first_deploy_brings_the_database_along(site: Site) -> None:
    done = site.deploy(derived("one"))
    assert done.returncode == 0, done.stderr
    assert (site.version(), site.is_ready()) == ("one", True)


def test_a_deploy_replaces_the_service_alone_and_a_rollback_brings_the_one_before_back(site: Site) -> None:
    site.up()
    database = site.container("postgres")
    for image in ("one", "two"):
        done = site.deploy(derived(image))
        assert done.returncode == 0, done.stderr
        assert (site.version(), site.is_ready()) == (image, True)
    for image in ("one", "two"):
        done = site.xtask("rollback")
        assert done.returncode == 0, done.stderr
        assert (site.version(), site.is_ready()) == (image, True)
    assert site.container("postgres") == database


def test_what_ran_before_the_first_deploy_can_be_gone_back_to(site: Site) -> None:
    site.up()
    assert site.deploy(derived("one")).returncode == 0
    assert site.xtask("rollback").returncode == 0
    assert inspect(site.container())["Image"] == inspect(IMAGE)["Id"]
    assert site.is_ready()


def test_an_image_that_does_not_become_ready_is_taken_back(site: Site) -> None:
    assert site.deploy(derived("one")).returncode == 0
    never = "ENV SANTA__SERVICE__BACKEND__ARGS=-m,http.server,0"
    for fault, message in ((BROKEN, "no_such_key: unknown key"), (never, "did not become ready")):
        failed = site.deploy(derived("broken", fault), timeout=4)
        assert failed.returncode == 1
        assert "runs again" in failed.stderr, failed.stderr
        assert message in failed.stderr
        assert (site.version(), site.is_ready()) == ("one", True)


def test_a_first_deploy_that_fails_says_that_nothing_ran_before(site: Site) -> None:
    failed = site.deploy(derived("broken", BROKEN), timeout=3)
    assert failed.returncode == 1
    assert "nothing ran before" in failed.stderr, failed.stderr
    assert not site.state.exists()


def test_a_single_container_is_replaced_and_brought_back(site: Site) -> None:
    site.compose("up", "--detach", "--wait", "postgres")
    docker("network", "create", "santa-single", check=False)
    docker("network", "connect", "--alias=postgres", "santa-single", site.container("postgres"))
    environment = site.state.with_name("santaserver.env")
    environment.write_text(
        "POSTGRES_SERVER=postgres\nPOSTGRES_USER=santaserver\nPOSTGRES_DB=santaserver\n"
        + "".join(
            f"{name}={site.environ[name]}\n" for name in ("POSTGRES_PASSWORD", "SECRET_KEY", "PUBLIC_URL")
        )
    )
    options = ("--engine=docker", "--name=santa-single", f"--publish={site.environ['PUBLISH']}")
    rest = (f"--env-file={environment}", "--", "--network=santa-single")
    try:
        for image in ("one", "two"):
            done = site.xtask("deploy", f"--image={derived(image)}", *options, *rest)
            assert done.returncode == 0, done.stderr
            assert site.is_ready()
        assert site.xtask("rollback").returncode == 0
        assert inspect("santa-single")["Image"] == inspect("santaserver:one")["Id"]
        assert site.is_ready()
    finally:
        docker("rm", "--force", "santa-single", check=False)
        site.down()
        docker("network", "rm", "santa-single", check=False)
