"""Settings of the registry."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from binder_protocol.models.registry import Cpu, Memory
from binder_protocol.service.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    """The most that a template may ask for; what an application gets in the end is up to the deploy service."""

    section: ClassVar[str] = "registry"

    port: int = Field(default=8083, ge=0, le=65_535)
    max_memory: Memory = "1Ti"
    max_cpu: Cpu = "256"
    max_disk: Memory = "64Ti"
    max_pids: Annotated[int, Field(ge=1, le=65_536)] = 65_536
