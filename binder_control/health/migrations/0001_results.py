"""Results of checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "health_results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("timestamp", sa.DateTime, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("message", sa.Text),
    )
    op.create_index("health_results_by_name", "health_results", ["name", "timestamp"])
