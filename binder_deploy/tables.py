"""The tables of the deploy service; times are naive UTC."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

APPLICATIONS = Table(
    "applications",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("template", String(63), nullable=False, index=True),
    Column("status", String(16), nullable=False),
    Column("anonymous", Boolean, nullable=False),
    Column("launch", Text, nullable=False),
    Column("created", DateTime, nullable=False),
    Column("since", DateTime, nullable=False),
    Column("ended", DateTime),
    Column("last_activity", DateTime),
    Column("extended_until", DateTime),
    Column("location", Text),
    Column("timings", Text, nullable=False),
    Column("failure", Text),
    Column("reason", Text),
    Index("applications_by_status", "status", "created"),
)

EVENTS = Table(
    "application_events",
    METADATA,
    Column("application", String(32), ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", DateTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("failure", Text),
)

PRELOADS = Table(
    "preloads",
    METADATA,
    Column("template", String(63), primary_key=True),
    Column("image", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started", DateTime, nullable=False),
    Column("failure", Text),
)
