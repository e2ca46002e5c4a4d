"""The database schema's history; `runner` applies it.

Revisions are numbered 0001, 0002, … in order. Change tables in two steps: expand in one release,
contract in a later one, so that the release before keeps working on the newer schema.
"""

from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"

HEAD = max(path.name[:4] for path in VERSIONS.glob("[0-9]*.py"))
"""The newest revision, by the names of the files: start and health need not load Alembic."""
