"""The health service's object graph, from top to bottom, and its start."""

from __future__ import annotations

import sys
from datetime import timedelta

from fastapi import FastAPI

from binder_client import Client
from binder_control.health.api import HealthApi
from binder_control.health.checks import EndToEnd, Opener
from binder_control.health.page import open_page
from binder_control.health.repository import PATH, CheckRepository
from binder_control.health.rounds import Rounds
from binder_control.health.settings import HealthSettings
from binder_control.health.store import ResultStore
from binder_protocol.service.app import Service, create_app
from binder_protocol.service.health import Check
from binder_protocol.service.leadership import Leadership, lease_of
from binder_protocol.service.logs import request_id
from binder_protocol.service.server import EXIT_CONFIG, serve
from binder_protocol.service.settings import ConfigError, load_settings
from binder_protocol.service.storage import Database


def build_app(settings: HealthSettings, *, open_location: Opener = open_page) -> FastAPI:
    """The health service as an application; the checks begin with its lifespan."""
    database = Database(settings.database, "binder_control.health.migrations")
    store = ResultStore(database, timedelta(days=settings.retention_days))
    client = Client(
        settings.public_url,
        None if settings.api_key is None else settings.api_key.get_secret_value(),
        urls={"build": settings.build_url, "registry": settings.registry_url, "deploy": settings.deploy_url},
        request_id=request_id,
    )
    repository = CheckRepository(settings.state_dir / "repositories")
    checks = EndToEnd(
        client,
        open_location,
        repository=settings.repository or f"{settings.health_url}{PATH}",
        own=settings.repository is None,
        template=settings.template,
        seconds=settings.check_seconds,
        afresh=settings.build_interval,
    )
    leadership = Leadership("checks", lease_of(database, "health_leases", "checks"), lambda: rounds.wake())
    rounds = Rounds(
        {"build": checks.build, "deploy": checks.deploy},
        store,
        may_run=lambda: leadership.leading,
        every=settings.interval,
        delay=settings.delay,
        drain_seconds=settings.stop_seconds,
    )
    return create_app(
        Service(
            settings=settings,
            api=HealthApi(store, ("build", "deploy")),
            checks=[Check("database", database.ping), Check("checks", rounds.alive)],
            resources=[repository, checks, leadership, rounds],
            database=database,
            routers=[repository.router()],
        )
    )


def main() -> None:
    """Runs the health service until it is told to stop."""
    try:
        settings = load_settings(HealthSettings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    serve(build_app(settings), settings)
