"""The database schema's history; `runner` applies it.

Revisions are numbered 0001, 0002, … in order. Change tables in two steps: expand in one release,
contract in a later one, so that the release before keeps working on the newer schema.
"""

HEAD = "0001"
"""The newest revision, kept here so that start and health need not load Alembic. A test compares it."""
