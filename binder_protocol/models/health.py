"""Health: results of real checks."""

from __future__ import annotations

from enum import StrEnum

from binder_protocol.models.base import Time, WireModel


class HealthStatus(StrEnum):
    """As in 2016."""

    RUNNING = "running"
    DOWN = "down"


class Health(WireModel):
    """The newest result of one end-to-end check (`build`, `deploy`); `history` holds older ones, newest first."""

    name: str
    status: HealthStatus
    timestamp: Time
    seconds: float | None = None
    message: str | None = None
    history: list[Health] = []
