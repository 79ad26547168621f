"""Settings of binder-control itself: the front door and the supervision."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from binder_protocol.service.settings import ServiceSettings


class ControlSettings(ServiceSettings):
    """The table [control]. `host` and `port` are those of the front door, which people and clients reach.

    `metrics_port`: where the front door tells its metrics, on loopback. `engine`: `auto` supervises a Docker engine
    where none answers, `never` leaves that to somebody else. `start_seconds`: how long a program may take until it is
    ready. A log is rotated at `log_bytes`, and `log_files` old ones are kept.
    """

    section: ClassVar[str] = "control"

    host: str = "0.0.0.0"  # noqa: S104  the front door is for others; every service stays on loopback
    port: int = Field(default=8080, ge=0, le=65_535)
    metrics_port: int = Field(default=8081, ge=0, le=65_535)
    engine: Literal["auto", "never"] = "auto"
    start_seconds: float = Field(default=60, ge=1, le=3_600)
    log_bytes: int = Field(default=10_485_760, ge=1_024)
    log_files: int = Field(default=5, ge=0, le=100)
