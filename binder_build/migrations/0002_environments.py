"""Environments: what comes before the contents of repositories, as images of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "build_environments",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("reference", sa.Text),
        sa.Column("used", sa.Float, nullable=False),
        sa.Column("sources", sa.Boolean, nullable=False),
    )
