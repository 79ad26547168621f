"""Templates and their revisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes both tables."""
    op.create_table(
        "templates",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("display_name", sa.String(500)),
        sa.Column("newest", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
    )
    op.create_table(
        "template_revisions",
        sa.Column("name", sa.String(63), sa.ForeignKey("templates.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
    )
