"""Enrollments that are put straight into the database."""

from santaserver.enrollment.secrets import hash_secret
from tests.support.postgres import value


def add_enrollment(dsn: str, secret: str, label: str = "t", **columns: object) -> int:
    """Store an enrollment with its secret and return its id."""
    names = ["label", "created_at", *columns]
    marks = "".join(f", ${number}" for number in range(3, len(columns) + 3))
    number: int = value(
        dsn,
        f"""with e as (insert into enrollment ({", ".join(names)}) values ($2, now(){marks}) returning id)
            insert into enrollment_secret (enrollment_id, secret_hash, created_at)
            select id, $1, now() from e returning enrollment_id""",  # noqa: S608 - names of columns
        hash_secret(secret),
        label,
        *columns.values(),
    )
    return number
