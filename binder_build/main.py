"""The build service's object graph, from top to bottom, and its start."""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid

from fastapi import FastAPI
from pydantic import SecretStr

from binder_build.api import BuildApi
from binder_build.builds import Builds
from binder_build.chosen_images import chosen_images
from binder_build.collection import Collection, usage
from binder_build.documents import Documents
from binder_build.environment_images import EnvironmentImages
from binder_build.environments import EnvironmentStore
from binder_build.finished_images import FinishedImages
from binder_build.home_lock import HomeLock
from binder_build.images.network import BuildNetwork
from binder_build.images.order import BuildLimits
from binder_build.leases import Leases
from binder_build.logs.archive import LogArchive
from binder_build.logs.log import Logs
from binder_build.logs.shared import SharedLogs
from binder_build.metrics import BuildMetrics
from binder_build.pipeline import Adapters, Limits
from binder_build.planner import Planner
from binder_build.recipes import Recipes
from binder_build.runner import Runner
from binder_build.secrets.keyring import Keyring
from binder_build.secrets.operators import CredentialFile
from binder_build.secrets.store import CredentialStore
from binder_build.settings import BuildSettings, completed
from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.places import Places
from binder_build.sources.repository import Repository
from binder_build.sources.resolver import Resolver
from binder_build.sources.source import FetchLimits, Revision, Source
from binder_build.sources.ssh import Ssh
from binder_build.store import AttemptStore
from binder_build.templates import Templates
from binder_build.workers import Workers
from binder_client.client import Client
from binder_plan.recipe import PlanSettings
from binder_protocol.models.quantities import memory_bytes, millicpus
from binder_protocol.service.app import Closing, Service, create_app
from binder_protocol.service.health import Check
from binder_protocol.service.logs import request_id
from binder_protocol.service.metrics import Metrics
from binder_protocol.service.server import EXIT_CONFIG, serve
from binder_protocol.service.settings import ConfigError, load_settings
from binder_protocol.service.storage import Database
from binder_protocol.service.work import Loop

_TRIM_SECONDS = 600


def build_app(settings: BuildSettings) -> FastAPI:
    """The build service as an application; nothing starts before its lifespan does. Raises ConfigError."""
    state, work = settings.state_dir, settings.state_dir / "work"
    metrics = Metrics()
    counts = BuildMetrics(metrics.registry)
    client = _client(settings)
    limits = _limits(settings)

    database = Database(settings.database, "binder_build.migrations")
    store = AttemptStore(database)
    documents = Documents(database)
    run = uuid.uuid4().hex
    leases = Leases(database, place=f"{socket.gethostname()}:{state}", run=run, seconds=settings.lease_seconds)
    shared = SharedLogs(state / "logs", LogArchive(database), limit=settings.log_bytes) if database.shared else None
    logs = shared or Logs(state / "logs", limit=settings.log_bytes)

    policy = AddressPolicy(settings.allow_hosts)
    ssh = Ssh(key=settings.ssh_key, known_hosts=settings.known_hosts, learned=state / "known_hosts")
    source = Source(work, policy, ssh)
    keyring = Keyring(settings.credentials_key or state / "credentials.key")
    credentials = CredentialStore(database, keyring, CredentialFile(settings.credentials_file))
    network = _network(settings)
    chosen = chosen_images(settings, work, network)
    images = chosen.store
    recipes = Recipes(images, settings.base_image, _plan_settings(settings, network, policy))
    environments = EnvironmentStore(database)
    environment_images = EnvironmentImages(
        images,
        environments,
        repository=chosen.environments,
        registry=chosen.shared,
        push_seconds=settings.push_seconds,
    )
    templates = Templates(client)
    collection = Collection(
        store,
        environments,
        images,
        lambda: usage(client),
        state=state,
        min_free=settings.min_free_bytes,
        cache=settings.cache_bytes,
        keep=settings.keep_images,
    )
    trimming = Loop("trim", collection.trim, every=_TRIM_SECONDS, longest=_TRIM_SECONDS)

    adapters = Adapters(
        store,
        documents,
        source,
        credentials,
        recipes,
        images,
        environment_images,
        FinishedImages(images, documents, cache=settings.build_cache, push_seconds=settings.push_seconds),
        collection,
        templates,
        Places(work),
        settings.registry,
        limits,
    )
    runner = Runner(store, leases, logs, counts, adapters, restarts=settings.restarts, logs_kept=settings.keep_logs)
    workers = Workers(
        leases,
        runner.run,
        runner.take_up,
        count=settings.workers,
        lease_seconds=settings.lease_seconds,
        drain_seconds=settings.stop_seconds,
    )
    counts.watch(lambda: len(store.turns()[0]), lambda: workers.running)

    def ask(repository: Repository, credential: str | None, cancel: threading.Event) -> Revision:
        secret = credentials.secret(credential, repository)
        return source.resolve(repository, credential=secret, seconds=settings.resolve_seconds, cancel=cancel)

    resolver = Resolver(ask)
    planner = Planner(
        store=store,
        images=images,
        source=source,
        credentials=credentials,
        recipes=recipes,
        environments=environment_images,
        work=work,
        at_once=settings.plan_workers,
        limits=limits.fetch,
        seconds=settings.plan_seconds,
    )
    builds = Builds(
        store=store,
        documents=documents,
        resolver=resolver,
        credentials=credentials,
        recipes=recipes,
        images=images,
        templates=templates,
        workers=workers,
        runner=runner,
        metrics=counts,
        queue_size=settings.queue_size,
        answer_seconds=settings.answer_seconds,
    )
    return create_app(
        Service(
            settings=settings,
            api=BuildApi(builds, planner, logs, credentials),
            checks=[
                Check("database", database.ping),
                Check("engine", images.ping),
                Check("base image", recipes.base),
                Check("registry", templates.ping),
                Check("workers", workers.alive),
            ],
            resources=[
                HomeLock(state, work),
                *chosen.resources,
                Closing(client.close),
                *([shared] if shared is not None else []),
                resolver,
                planner,
                workers,
                trimming,
            ],
            database=database,
            metrics=metrics,
        )
    )


def _client(settings: BuildSettings) -> Client:
    key = None if settings.api_key is None else settings.api_key.get_secret_value()
    urls = {"registry": settings.registry_url, "deploy": settings.deploy_url}
    return Client(settings.public_url, key, urls=urls, timeout=settings.register_seconds, request_id=request_id)


def _limits(settings: BuildSettings) -> Limits:
    return Limits(
        fetch=FetchLimits(settings.source_bytes, settings.source_files, settings.fetch_seconds),
        build=BuildLimits(
            seconds=settings.build_seconds,
            memory=memory_bytes(settings.memory),
            cpus=None if settings.cpu is None else millicpus(settings.cpu) / 1000,
            pids=settings.pids,
            disk=None if settings.disk is None else memory_bytes(settings.disk),
        ),
        plan_seconds=settings.plan_seconds,
        push_seconds=settings.push_seconds,
        register_seconds=settings.register_seconds,
    )


def _network(settings: BuildSettings) -> BuildNetwork:
    proxies = {"http": _secret(settings.http_proxy), "https": _secret(settings.https_proxy), "no": settings.no_proxy}
    return BuildNetwork(
        ca_bundle=settings.ca_bundle,
        index_url=_secret(settings.index_url),
        npm_registry=settings.npm_registry,
        proxies={name: value for name, value in proxies.items() if value},
    )


def _plan_settings(settings: BuildSettings, network: BuildNetwork, policy: AddressPolicy) -> PlanSettings:
    return PlanSettings(
        ca=network.ca,
        index=network.index,
        frontends=settings.frontends,
        private_prefixes=("binder/", *((f"{settings.registry}/",) if settings.registry else ())),
        index_secret=network.index_secret,
        allow_remote_add=settings.allow_remote_add,
        registry_allowed=policy.allows_literal,
        mirrors=settings.mirrors,
        managed_pythons=settings.managed_pythons,
        max_memory=settings.max_memory,
        max_cpu=settings.max_cpu,
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def main() -> None:
    """Runs the build service until it is told to stop."""
    try:
        settings = completed(load_settings(BuildSettings), os.environ)
        app = build_app(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    serve(app, settings)
