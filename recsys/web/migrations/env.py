"""Alembic's environment: applies missing schema migrations over the database connection that the store provides."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
context.run_migrations()
