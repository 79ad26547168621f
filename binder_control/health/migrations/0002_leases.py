"""Leases of several health services on one database."""

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
        "health_leases",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("holder", sa.String(255)),
        sa.Column("beat", sa.BigInteger, nullable=False),
    )
