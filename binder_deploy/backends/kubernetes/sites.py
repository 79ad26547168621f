"""The site that an operator's settings describe, checked as a whole before anything is launched there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from binder_deploy.backends.kubernetes import objects, pod_patch, pod_patch_file
from binder_deploy.backends.kubernetes.callers import caller
from binder_deploy.backends.kubernetes.settings import KubernetesSettings
from binder_deploy.backends.kubernetes.site import Entrance, Gateway, Shares, Site
from binder_deploy.launches import Launch
from binder_protocol.models import Access
from binder_protocol.models.quantities import memory_bytes
from binder_protocol.service.settings import ConfigError


def site_of(
    settings: KubernetesSettings, suite: str, *, guard: str, stop_seconds: int = 2, reachable: Iterable[str] = ()
) -> Site:
    """The site of suite `suite`. `guard` is this service's address as a cluster's entrance reaches it, unless the
    settings know better. Raises ConfigError where the pod patch can't be used, or nobody could reach applications.
    """
    if settings.network_policy and not settings.reached_from:
        raise ConfigError(
            "[deploy.kubernetes] reached-from: say who may reach applications: the ingress controller's namespace or"
            " addresses, and this service's; network-policy = false leaves them open to the whole cluster"
        )
    storage = settings.ephemeral_storage
    site = Site(
        suite=suite,
        namespace=settings.namespace,
        own_namespaces=settings.own_namespaces,
        entrance=_entrance(settings, guard),
        shares=Shares(settings.cpu_request, settings.memory_request, settings.ephemeral_storage_request),
        ephemeral_storage=None if storage is None else memory_bytes(storage),
        pull_secrets=tuple(settings.pull_secrets),
        pull_policy=settings.pull_policy,
        node_selector=settings.node_selector,
        tolerations=tuple(settings.tolerations),
        priority_class=settings.priority_class,
        node_lost_seconds=settings.node_lost_seconds,
        runtime_class=settings.runtime_class,
        scheduler=settings.scheduler,
        stop_seconds=stop_seconds,
        probe_seconds=settings.probe_seconds,
        pod_patch={} if settings.pod_patch is None else _patch(settings),
        pod_security=settings.pod_security,
        network_policy=settings.network_policy,
        reached_from=tuple(caller(each) for each in settings.reached_from),
        reachable=tuple(reachable),
        cluster_networks=tuple(settings.cluster_networks),
        dns=tuple(caller(each) for each in settings.dns),
    )
    _try_patch(site, settings)
    return site


def kubeconfig_of(settings: KubernetesSettings, environ: Mapping[str, str]) -> Path | None:
    """The file that leads to the cluster: the setting's, else $KUBECONFIG; None is this pod's own account."""
    named = environ.get("KUBECONFIG")
    return settings.kubeconfig or (Path(named) if named else None)


def _entrance(settings: KubernetesSettings, guard: str) -> Entrance:
    gateway = None
    if settings.gateway is not None:
        namespace, _, name = settings.gateway.rpartition("/")
        gateway = Gateway(name, namespace or None, settings.gateway_listener)
    return Entrance(
        controller=settings.ingress_controller,
        ingress_class=settings.ingress_class,
        host=settings.ingress_host,
        tls_secret=settings.ingress_tls_secret,
        gateway=gateway,
        middlewares=settings.middlewares_namespace,
        guard_url=settings.guard_url or guard,
        annotations=settings.ingress_annotations,
    )


def _patch(settings: KubernetesSettings) -> dict[str, object]:
    assert settings.pod_patch is not None
    try:
        return pod_patch_file.read(settings.pod_patch)
    except pod_patch.PatchRefused as error:
        raise _refused(settings, error) from None


def _try_patch(site: Site, settings: KubernetesSettings) -> None:
    """Patches a pod such as there will be."""
    sample = Launch(
        id="0" * 32, template="sample", revision=1, image="sample", token="", access=Access.PUBLIC, memory=1, cpu=1,
        pids=1, cull_timeout=1,
    )  # fmt: skip
    try:
        before, after = (objects.pod(sample, each) for each in (dataclasses.replace(site, pod_patch={}), site))
        pod_patch.check(before, after, secure=site.pod_security == "restricted")
    except pod_patch.PatchRefused as error:
        raise _refused(settings, error) from None


def _refused(settings: KubernetesSettings, error: pod_patch.PatchRefused) -> ConfigError:
    return ConfigError(f"[deploy.kubernetes] pod-patch: {settings.pod_patch}: {error}")
