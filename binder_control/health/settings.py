"""Settings of the health service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from binder_protocol.service.settings import ServiceSettings


class HealthSettings(ServiceSettings):
    """When and what is checked. Durations are in seconds.

    `repository` is what the build check builds; without one, a tiny repository that this service makes and serves.
    `template` is what the deploy check launches; without one, that of the build. `interval` lies between the end of a
    round and the next, `delay` before the first; `check_seconds` is the longest that one check may take. Every
    `build_interval` the build check makes its image anew; in between it asks for the one that is there.
    """

    section: ClassVar[str] = "health"

    port: int = Field(default=8086, ge=0, le=65_535)
    interval: float = Field(default=300, gt=0, le=7 * 86_400)
    delay: float = Field(default=30, ge=0, le=86_400)
    build_interval: float = Field(default=3_600, ge=0, le=30 * 86_400)
    check_seconds: float = Field(default=180, ge=1, le=7_200)
    retention_days: float = Field(default=14, gt=0, le=3_650)
    repository: str | None = None
    template: str | None = None
