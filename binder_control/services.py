"""The table of the suite's services. They are named by import string: binder_control imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binder_protocol.service.settings import ServiceSettings, load_settings


@dataclass(frozen=True)
class Service:
    """One row: what runs it, and where its settings are described."""

    name: str
    module: str
    settings: str
    about: str

    def load(self, environ: Mapping[str, str]) -> ServiceSettings:
        """Its settings as it will read them itself. Raises ConfigError."""
        return load_settings(self.settings_class(), environ=environ)

    def settings_class(self) -> type[ServiceSettings]:
        module, _, name = self.settings.partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        assert isinstance(found, type)
        assert issubclass(found, ServiceSettings)
        return found


SERVICES = (
    Service("registry", "binder_registry", "binder_registry.settings:RegistrySettings", "templates"),
    Service("build", "binder_build", "binder_build.settings:BuildSettings", "repository to image"),
    Service("deploy", "binder_deploy", "binder_deploy.settings:DeploySettings", "template to application"),
    Service("health", "binder_control.health", "binder_control.health.settings:HealthSettings", "end-to-end checks"),
)
"""In the order of starting. Stopping is in the opposite one."""
