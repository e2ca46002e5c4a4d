"""The database schema: numbered SQL files, which `runner` applies.

Files are named NNNN_name.sql and never change after a release. Change tables in two steps: expand in
one release, contract in a later one, so that the release before keeps working on the newer schema. A
file that contracts says which schema a program has to know to work without what it removes, in a line
of its own: `-- needs: NNNN`.
"""

from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"

HEAD = max(int(path.name[:4]) for path in VERSIONS.glob("[0-9]*.sql"))
"""The newest migration, by the names of the files: start and health need not read them."""
