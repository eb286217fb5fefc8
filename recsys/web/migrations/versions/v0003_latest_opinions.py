"""Index each user's events by order of arrival, so that the latest are found without a scan of all events."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Replace the index on user, kind and time of events with an index on user, kind and order of arrival."""
    op.drop_index("events_by_user", "events")
    op.create_index("events_by_user", "events", ["user_id", "kind", "number"])
