"""Environment of Alembic: applies the missing versions in the transaction of the store's connection."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
context.run_migrations()
