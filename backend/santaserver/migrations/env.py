"""Alembic's entry: runs the revisions on the connection that `runner` opened and locked."""

from alembic import context

from santaserver.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
