"""Leases of several deploy services on one database, and which of them brings an application up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "deploy_leases",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("holder", sa.String(255)),
        sa.Column("beat", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "application_claims",
        sa.Column("application", sa.String(32), primary_key=True),
        sa.Column("worker", sa.String(32), nullable=False),
    )
