"""The deploy service's object graph, from top to bottom, and its start."""

from __future__ import annotations

import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from binder_client.client import Client
from binder_deploy import network
from binder_deploy.activity import FrontDoor
from binder_deploy.api import DeployApi
from binder_deploy.applications import Applications, Rules, Templates
from binder_deploy.backends import Backend
from binder_deploy.claims import Claims
from binder_deploy.controller import Controller, Periods
from binder_deploy.front_door import FrontDoorRoutes
from binder_deploy.output import Output
from binder_deploy.preloads import Preloads
from binder_deploy.probe import Probe
from binder_deploy.readiness import Readiness, Teller, Told
from binder_deploy.registry import RegistryTemplates
from binder_deploy.route_files import RouteFiles
from binder_deploy.sampler import Sampler
from binder_deploy.settings import DeploySettings
from binder_deploy.store import Store
from binder_deploy.waits import Waits
from binder_deploy.watcher import Watcher
from binder_protocol.models.quantities import memory_bytes
from binder_protocol.service import logs
from binder_protocol.service.app import Closing, Service, create_app
from binder_protocol.service.health import Check
from binder_protocol.service.leadership import Leadership, lease_of
from binder_protocol.service.metrics import Metrics
from binder_protocol.service.server import EXIT_CONFIG, serve
from binder_protocol.service.settings import ConfigError, load_settings
from binder_protocol.service.storage import Database
from binder_protocol.service.work import Loop, WorkerPool

_LAUNCHES_AT_ONCE = {"docker": 64, "memory": 64, "kubernetes": 256}
"""On a cluster hardly anything of a launch is this host's work: its threads wait."""

_PRELOADS_AT_ONCE = 2


def build_app(
    settings: DeploySettings, *, backend: Backend | None = None, templates: Templates | None = None
) -> FastAPI:
    """The deploy service as an application; nothing starts before its lifespan does."""
    database = Database(settings.database, "binder_deploy.migrations")
    store = Store(database)
    backend = backend or make_backend(settings)
    templates = templates or _registry(settings)
    behind_front_door = settings.backend != "memory"

    launches = WorkerPool(
        "launches", workers=min(settings.max_applications, _LAUNCHES_AT_ONCE[settings.backend]),
        queue_size=settings.max_applications, drain_seconds=2,
    )  # fmt: skip
    loads = WorkerPool("preloads", workers=_PRELOADS_AT_ONCE, queue_size=100, drain_seconds=2)
    readiness = make_readiness(settings, backend)
    rules = Rules(settings.policy, settings.max_applications, settings.public_url if behind_front_door else None)
    claims = Claims(database) if database.shared else None
    applications = Applications(store, backend, templates, readiness, launches, rules, Waits(claims))
    preloads = Preloads(store, backend, templates, loads, settings.policy.placement)
    output = Output(applications, backend)

    sampler = Sampler(store, backend, FrontDoor(settings.front_door_metrics_url), every=settings.activity_every)
    periods = Periods(
        grace=timedelta(seconds=settings.cull_grace),
        give_up=timedelta(seconds=2 * settings.start_timeout),
        queue=timedelta(seconds=settings.queue_timeout),
        keep=timedelta(seconds=settings.keep_records),
        look=timedelta(seconds=settings.reconcile_every),
    )
    controller = Controller(
        applications, backend, periods,
        watching_since=lambda: watcher.watching_since,
        activity_known=lambda: sampler.known or not behind_front_door,
    )  # fmt: skip

    def on_lead() -> None:
        controller.begin()
        reconciling.wake()
        sampling.wake()
        preloads.take_up()

    # One of several services looks after all applications; each brings up those that it was asked for.
    leadership = Leadership("reconciler", lease_of(database, "deploy_leases", "reconciler"), on_lead)
    reconciling = Loop(
        "reconciler", leadership.only(controller.step), every=settings.reconcile_every, longest=settings.reconcile_every
    )
    sampling = Loop(
        "activity", leadership.only(sampler.step), every=settings.activity_every, longest=settings.activity_every
    )

    def on_ending(identity: str) -> None:
        applications.waits.wake(identity)
        reconciling.wake()

    watcher = Watcher(backend, on_ending, reconciling.wake)
    closing = Closing(backend.close)
    metrics = Metrics()
    metrics.watch(launches)
    metrics.watch(loads)
    return create_app(
        Service(
            settings=settings,
            api=DeployApi(applications, output, preloads, settings.api_key),
            checks=[Check("database", database.ping), Check("backend", backend.ping, deadline=10)],
            resources=[
                closing,
                *([claims] if claims is not None else []),
                launches,
                loads,
                applications,
                watcher,
                leadership,
                reconciling,
                *([sampling] if behind_front_door else []),
            ],
            database=database,
            routers=[FrontDoorRoutes(store, applications.waits.on).router()],
            public_launch=settings.public_launch,
            metrics=metrics,
        )
    )


def make_backend(settings: DeploySettings) -> Backend:
    """The backend that the settings name."""
    if settings.backend == "memory":
        from binder_deploy.backends.memory import MemoryBackend

        return MemoryBackend()
    if settings.backend == "kubernetes":
        return _kubernetes(settings)
    from binder_deploy.backends.docker import DockerBackend

    home = settings.instance or instance_id(settings.home)
    net = network.Network(
        home,
        settings.network or f"binder-{home[:8]}",
        resolvers=network.resolvers(_read(Path("/etc/resolv.conf"))),
        reachable=network.networks(settings.reachable),
    )
    return DockerBackend(
        settings.docker_url,
        net,
        network.Firewall(net) if settings.isolation == "on" else network.NoFirewall(),
        RouteFiles(settings.routes),
        stop_seconds=settings.stop_timeout,
        pull_seconds=settings.pull_timeout,
        log_bytes=settings.log_bytes,
        disk=None if settings.disk is None else memory_bytes(settings.disk),
    )


def _kubernetes(settings: DeploySettings) -> Backend:
    try:
        from binder_deploy.backends.kubernetes.backend import KubernetesBackend
        from binder_deploy.backends.kubernetes.cluster import Cluster
    except ModuleNotFoundError as error:
        raise ConfigError(f"there is no {error.name}: install binder[kubernetes] for backend = kubernetes") from error
    from binder_deploy.backends.kubernetes.sites import kubeconfig_of, site_of

    given = settings.kubernetes
    file = kubeconfig_of(given, os.environ)
    cluster = Cluster(None if file is None else str(file), given.context)
    site = site_of(
        given, settings.instance or instance_id(settings.home), guard=settings.deploy_url,
        stop_seconds=settings.stop_timeout, reachable=settings.reachable,
    )  # fmt: skip
    return KubernetesBackend(cluster, site, start_seconds=settings.pull_timeout)


def make_readiness(settings: DeploySettings, backend: Backend) -> Readiness:
    """Who finds out when an application answers: the cluster, or this service by asking through the front door."""
    if isinstance(backend, Teller):
        # The front door is ours, and reached from here, where its middlewares are in our file.
        given = settings.kubernetes
        ours = given.ingress_controller == "traefik" and given.middlewares_namespace is None
        probe = Probe(settings.front_door_url, settings.start_timeout) if ours else None
        if not ours and given.ingress_url is not None:
            probe = Probe(given.ingress_url, settings.start_timeout, host=given.ingress_host)
        return Told(backend, settings.start_timeout, probe)
    return Probe(settings.front_door_url if settings.backend == "docker" else None, settings.start_timeout)


def instance_id(home: Path) -> str:
    """This suite's own id, made at the first call: two suites on one engine never touch each other's containers."""
    file = home / "instance"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="ascii") as fresh:
            fresh.write(secrets.token_hex(8) + "\n")
    except FileExistsError:
        pass
    return file.read_text(encoding="ascii").strip()


def _registry(settings: DeploySettings) -> Templates:
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    urls = {"registry": settings.registry_url}
    return RegistryTemplates(Client(settings.registry_url, key, urls=urls, timeout=10, request_id=logs.request_id))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main() -> None:
    """Runs the deploy service until it is told to stop."""
    try:
        settings = load_settings(DeploySettings)
        app = build_app(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    serve(app, settings)
