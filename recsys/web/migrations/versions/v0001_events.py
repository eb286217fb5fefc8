"""Create the table of feedback events."""

import sqlalchemy as sa
from alembic import op

from recsys.web.schema import Name, Number

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table `events` and its indices."""
    op.create_table(
        "events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("key", Name(64), nullable=False, unique=True),
        sa.Column("user_id", Name(255), nullable=False),
        sa.Column("kind", Name(16), nullable=False),
        sa.Column("time", Number, nullable=False),
        sa.Column("movie_id", Name(255)),
        sa.Column("value", Number),
        sa.Column("run", Name(255)),
        sa.Column("undoes", Name(64)),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("events_by_user", "events", ["user_id", "kind", "time"])
    op.create_index("events_by_film", "events", ["movie_id", "kind"])
    op.create_index("events_by_undone", "events", ["undoes"])
