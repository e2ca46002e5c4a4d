"""Backups that earlier releases wrote can be restored: one file of each, made when it was released.

`python -m tests.backup.test_old_files` writes the present release's. A file is written again only while its
release is not out.
"""

from pathlib import Path

import pytest

from santaserver import __version__
from santaserver.migrations import HEAD
from tests.backup.helpers import ROWS, put, read, take
from tests.support.postgres import Cluster, execute, value
from tests.support.server import RunningServer

FILES = sorted((Path(__file__).parent / "files").glob("*.backup"))


def test_the_present_release_has_one() -> None:
    assert __version__ in {path.stem for path in FILES}, "run: python -m tests.backup.test_old_files"


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_backup_of_a_release_is_restored(file: Path, empty: str, tmp_path: Path) -> None:
    manifest = read(file.read_bytes()).manifest
    assert manifest.release == file.stem
    assert put(empty, file.read_bytes(), tmp_path) == 0, "see the first lines of this file"
    assert value(empty, "select max(version) from schema_version") == HEAD
    assert value(empty, "select count(*) from machine") == 3
    assert value(empty, "select count(*) from event") == 9
    assert value(empty, "select custom_msg from rule_version") == "tab\t and \\ line\nend"
    with RunningServer(empty) as server, server.client() as client:
        assert client.get("/health/ready").status_code == 200


def main() -> None:
    """Write the file of the present release."""
    import asyncio  # noqa: PLC0415

    from santaserver.accounts import create_admin, create_enrollment  # noqa: PLC0415
    from santaserver.migrations.runner import migrate  # noqa: PLC0415
    from tests.backup.helpers import settings_of  # noqa: PLC0415
    from tests.conftest import ADMIN, SECRET  # noqa: PLC0415
    from tests.support.postgres import as_server  # noqa: PLC0415

    cluster = Cluster()
    try:
        dsn = cluster.dsn(cluster.create())
        asyncio.run(migrate(dsn, as_server(dsn)))
        asyncio.run(create_admin(settings_of(dsn), *ADMIN))
        asyncio.run(create_enrollment(settings_of(dsn), "tests", secret=SECRET))
        execute(dsn, ROWS.read_text("utf-8"))
        content = take(dsn, events=True)
        (Path(__file__).parent / "files" / f"{__version__}.backup").write_bytes(content)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
