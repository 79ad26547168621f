"""Attempts at builds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table and its indices."""
    op.create_table(
        "build_attempts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("settings", sa.String(64), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float),
        sa.Column("commit", sa.String(64)),
        sa.Column("ref", sa.Text),
        sa.Column("subdir", sa.Text),
        sa.Column("recipe", sa.String(64)),
        sa.Column("buildpack", sa.String(64)),
        sa.Column("reference", sa.Text),
        sa.Column("spec", sa.Text),
        sa.Column("template", sa.String(63)),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("timings", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.Float),
        sa.UniqueConstraint("name", "number", name="one_number_each"),
        sqlite_autoincrement=True,
    )
    op.create_index("attempts_by_status", "build_attempts", ["status"])
    op.create_index("attempts_by_reference", "build_attempts", ["reference"])
