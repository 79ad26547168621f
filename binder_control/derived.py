"""What follows from settings that were given: addresses are said once, and reach the other services as variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from binder_protocol.service.setting_names import value_of
from binder_protocol.service.settings import ServiceSettings


def derived(
    loaded: Mapping[str, ServiceSettings],
    given: Mapping[str, set[str]],
    engine: str | None,
    addresses: Callable[[], list[str]] = list,
) -> dict[str, str]:
    """The variables that programs get beside the user's own.

    `given` has, for each service, the names of the settings that somebody set; those are left alone. `engine` is the
    user's $DOCKER_HOST, `addresses` are this machine's own, as others see them.
    """
    found = {
        **dict(_urls(loaded, given)),
        **dict(_front_door(loaded["control"], given["deploy"])),
        **dict(_engine(loaded["deploy"], given, engine)),
        **dict(_own_repository(loaded["build"], loaded["health"])),
        **dict(_cluster(loaded["deploy"], given["deploy"], addresses)),
    }
    return dict(sorted(found.items()))


def _urls(loaded: Mapping[str, ServiceSettings], given: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    for name, settings in loaded.items():
        url = "public_url" if name == "control" else f"{name}_url"
        # A common setting: if one service has it from somewhere, all may.
        if not any(url in names for names in given.values()):
            yield f"BINDER_{url.upper()}", address(settings)


def _front_door(control: ServiceSettings, given: set[str]) -> Iterator[tuple[str, str]]:
    if "front_door_url" not in given:
        yield "BINDER_DEPLOY_FRONT_DOOR_URL", address(control)
    if "front_door_metrics_url" not in given:
        metrics_port = getattr(control, "metrics_port")  # noqa: B009  of ControlSettings alone
        yield "BINDER_DEPLOY_FRONT_DOOR_METRICS_URL", f"http://127.0.0.1:{metrics_port}/metrics"


def _engine(deploy: ServiceSettings, given: Mapping[str, set[str]], engine: str | None) -> Iterator[tuple[str, str]]:
    """One engine for builds and applications, unless they are told apart."""
    if "docker_url" in given["deploy"]:
        engine = str(getattr(deploy, "docker_url", ""))
    elif engine:
        yield "BINDER_DEPLOY_DOCKER_URL", engine
    if engine and "docker_host" not in given["build"]:
        yield "BINDER_BUILD_DOCKER_HOST", engine


def _own_repository(build: ServiceSettings, health: ServiceSettings) -> Iterator[tuple[str, str]]:
    """The build check's repository is served by the health service, where builds may otherwise not read."""
    if getattr(health, "repository", None) is None:
        hosts = [*getattr(build, "allow_hosts", []), address(health).removeprefix("http://")]
        yield "BINDER_BUILD_ALLOW_HOSTS", json.dumps(hosts)


def _cluster(deploy: ServiceSettings, given: set[str], addresses: Callable[[], list[str]]) -> Iterator[tuple[str, str]]:
    """Beside a cluster the front door comes from this machine, and reads the cluster as the deploy service does."""
    if value_of(deploy, "backend") != "kubernetes":
        return
    if "kubernetes.reached_from" not in given and value_of(deploy, "kubernetes.network_policy"):
        yield "BINDER_DEPLOY_KUBERNETES_REACHED_FROM", json.dumps(addresses())
    if (kubeconfig := value_of(deploy, "kubernetes.kubeconfig")) is not None:
        yield "KUBECONFIG", str(kubeconfig)


def address(settings: ServiceSettings) -> str:
    """The URL by which this machine reaches a service."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  these mean all addresses
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
