"""Add recent request counts, with which servers that share a feedback store enforce a common rate limit."""

import sqlalchemy as sa
from alembic import op

from recsys.web.schema import Name, Number

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table `request_counts`."""
    op.create_table(
        "request_counts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("server", Name(64), nullable=False),
        sa.Column("client", Name(64), nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("time", Number, nullable=False),
        sqlite_autoincrement=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
