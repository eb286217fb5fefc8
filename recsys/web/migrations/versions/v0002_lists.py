"""Add the lists that viewers saw, and the position and propensity of each event, for off-policy evaluation."""

import sqlalchemy as sa
from alembic import op

from recsys.web.schema import Name, Number

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table `lists`, and add the columns `list_id`, `position` and `propensity` to the table `events`."""
    op.create_table(
        "lists",
        sa.Column("list_id", Name(64), primary_key=True),
        sa.Column("user_id", Name(255), nullable=False),
        sa.Column("time", Number, nullable=False),
        sa.Column("run", Name(255), nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    with op.batch_alter_table("events") as events:  # SQLite can alter a table only by copying it
        events.add_column(sa.Column("list_id", Name(64)))
        events.add_column(sa.Column("position", sa.Integer))
        events.add_column(sa.Column("propensity", Number))
        events.create_foreign_key("events_of_lists", "lists", ["list_id"], ["list_id"])
        events.create_index("events_by_list", ["list_id", "kind"])
