"""Where images are kept, as the settings choose: on the engine, or in a registry, with its builders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from binder_build.environment_images import ENVIRONMENTS
from binder_build.images.builder import Builder
from binder_build.images.buildx import buildx_command
from binder_build.images.engine import Engine
from binder_build.images.engine_images import Images
from binder_build.images.network import BuildNetwork
from binder_build.images.store import ImageStore
from binder_build.registry.api import RegistryApi
from binder_build.registry.builders import (
    Pods,
    RemoteBuilders,
    at_addresses,
    daemon_config,
    environment,
)
from binder_build.registry.contents import RegistryContents
from binder_build.registry.images import RegistryImages
from binder_build.registry.logins import Logins
from binder_build.registry.pool import BuilderPool
from binder_build.registry.watch import watched
from binder_build.settings import BuildSettings
from binder_protocol.service.app import Closing, Resource

_BUILDX = ("docker", "buildx")


@dataclass(frozen=True)
class ChosenImages:
    """The store; what environments are called there; where else they are shared; what starts and stops with it."""

    store: ImageStore
    environments: str
    shared: str | None
    resources: tuple[Resource, ...]


def chosen_images(settings: BuildSettings, work: Path, network: BuildNetwork) -> ChosenImages:
    """Nothing starts before the resources do."""
    if settings.images == "registry" and settings.registry is not None:
        return _in_registry(settings, settings.registry, work, network)
    images = Images(
        work,
        host=settings.docker_host,
        builder=settings.builder,
        buildx=buildx_command(),
        network=network,
        parallel=settings.workers,
    )
    return ChosenImages(images, ENVIRONMENTS, settings.registry, (Closing(images.close),))


def _in_registry(settings: BuildSettings, registry: str, work: Path, network: BuildNetwork) -> ChosenImages:
    state, host = settings.state_dir, registry.partition("/")[0]
    environ = environment(None if settings.builder else state / "buildx", settings.docker_config)
    remote = _builders(settings, host, environ)
    names = [*([settings.builder] if settings.builder else []), *remote.names]

    @cache
    def builder(name: str) -> Builder:
        return Builder(
            Engine(),  # never asked: the builder is none of its own
            name=name,
            buildx=_BUILDX,
            network=network,
            parallel=settings.workers,
            environ=environ,
            guard=lambda pid: watched(pid, remote.asking(name)),
        )

    logins = Logins(settings.docker_config or Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser())
    plain = [] if settings.registry_tls else [host]
    images = RegistryImages(
        work,
        registry=registry,
        base=settings.base_image,
        contents=RegistryContents(RegistryApi(logins, plain=plain, ca=settings.ca_bundle)),
        pool=BuilderPool(names, remote.runs),
        builder=builder,
        environ=environ,
        plain=not settings.registry_tls,
    )
    return ChosenImages(images, f"{registry}/environment", None, (Closing(images.close), remote))


def _builders(settings: BuildSettings, host: str, environ: Mapping[str, str]) -> RemoteBuilders:
    files = {}
    config = settings.builder_config
    if config is None:
        config = settings.state_dir / "buildkitd.toml"
        files[config] = daemon_config(host, plain=not settings.registry_tls, ca=settings.ca_bundle)
    pods = Pods(
        settings.builder_pods, settings.builder_namespace, settings.builder_image, tuple(settings.builder_options)
    )
    builders = [*at_addresses(settings.builders, settings.builder_certificates), *pods.builders(config)]
    return RemoteBuilders(builders, environ=environ, files=files, buildx=_BUILDX)
