"""What Alembic runs: the versions that a store lacks, in the transaction of the connection that the store has given."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version_table"])
context.run_migrations()
