"""Applications, their events, preloads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the three tables."""
    op.create_table(
        "applications",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("template", sa.String(63), nullable=False, index=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("anonymous", sa.Boolean, nullable=False),
        sa.Column("launch", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("ended", sa.DateTime),
        sa.Column("last_activity", sa.DateTime),
        sa.Column("extended_until", sa.DateTime),
        sa.Column("location", sa.Text),
        sa.Column("timings", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Index("applications_by_status", "status", "created"),
    )
    op.create_table(
        "application_events",
        sa.Column("application", sa.String(32), sa.ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.DateTime, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("failure", sa.Text),
    )
    op.create_table(
        "preloads",
        sa.Column("template", sa.String(63), primary_key=True),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("failure", sa.Text),
    )
