"""The registry's object graph, from top to bottom, and its start."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from binder_protocol.service.app import Service, create_app
from binder_protocol.service.health import Check
from binder_protocol.service.server import EXIT_CONFIG, serve
from binder_protocol.service.settings import ConfigError, load_settings
from binder_protocol.service.storage import Database
from binder_registry.api import RegistryApi
from binder_registry.settings import RegistrySettings
from binder_registry.store import TemplateStore
from binder_registry.templates import Ceilings, Templates


def build_app(settings: RegistrySettings) -> FastAPI:
    """The registry as an application; nothing starts before its lifespan does."""
    database = Database(settings.database, "binder_registry.migrations")
    store = TemplateStore(database)
    ceilings = Ceilings.of(
        memory=settings.max_memory, cpu=settings.max_cpu, pids=settings.max_pids, disk=settings.max_disk
    )
    templates = Templates(store, ceilings)
    return create_app(
        Service(
            settings=settings,
            api=RegistryApi(templates),
            checks=[Check("database", database.ping)],
            database=database,
        )
    )


def main() -> None:
    """Runs the registry until it is told to stop."""
    try:
        settings = load_settings(RegistrySettings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    serve(build_app(settings), settings)
