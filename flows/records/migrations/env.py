"""Alembic's entry: runs the migrations on the connection, within the transaction, of `flows.records.schema.migrate`."""

from alembic import context

from flows.records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
