"""Index a user's events by arrival, so that the latest opinions are found without reading all earlier ones."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Replace the index of events by user, kind and time with one by user, kind and order of arrival."""
    op.drop_index("events_by_user", "events")
    op.create_index("events_by_user", "events", ["user_id", "kind", "number"])
