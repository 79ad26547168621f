"""Looks at a cluster as an operator would who wonders why nothing launches. Nothing is changed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from binder_deploy.backends.kubernetes import fitting, judging, objects
from binder_deploy.backends.kubernetes.answers import Denied
from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.permissions import Permissions
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.launches import Launch
from binder_protocol.errors import EngineError
from binder_protocol.findings import Finding, Verdict


class Examiner:
    """`sample` is an application as there will be; its pod is tried, not made."""

    def __init__(self, cluster: Cluster, site: Site, kubeconfig: Path | None, sample: Launch) -> None:
        self._cluster = cluster
        self._site = site
        self._kubeconfig = kubeconfig
        self._sample = sample

    def findings(self) -> Iterator[Finding]:
        """Every check, in the order in which they are best mended; the later ones only where the server answers."""
        file = self._file()
        yield file
        if file.verdict is Verdict.FAILED:
            return
        try:
            server = judging.of_server(str(self._cluster.get("/version").get("gitVersion", "")))
        except EngineError as error:
            yield judging.of_server(error)
            return
        yield server
        try:
            yield from self._inside()
        except EngineError as error:
            yield judging.of_server(error)

    def _file(self) -> Finding:
        try:
            mode = 0 if self._kubeconfig is None else self._kubeconfig.stat().st_mode
            if self._kubeconfig is not None:
                self._kubeconfig.open("rb").close()
        except OSError as error:
            return judging.of_kubeconfig(self._kubeconfig, error, 0)
        return judging.of_kubeconfig(self._kubeconfig, None, mode)

    def _inside(self) -> Iterator[Finding]:
        permissions = Permissions(self._cluster, self._site)
        yield judging.of_rights(permissions.missing(), permissions.unmet())
        if not self._site.own_namespaces:
            yield judging.of_trial(self._site.namespace, self._trial())
        name = self._site.entrance.ingress_class
        if name is not None and self._site.entrance.gateway is None:
            yield judging.of_ingress_class(
                name, self._refusal(item("networking.k8s.io/v1", "IngressClass", None, name))
            )
        try:
            nodes = [fitting.node(each) for each in self._cluster.list(collection("v1", "Node"))]
        except Denied:
            yield judging.of_nodes(None)
        else:
            yield judging.of_nodes(nodes)

    def _trial(self) -> Denied | None:
        pod = objects.pod(self._sample, self._site)
        try:
            self._cluster.create(collection("v1", "Pod", self._site.namespace), pod, {"dryRun": "All"})
        except Denied as refusal:
            return refusal
        return None

    def _refusal(self, path: str) -> Denied | None:
        try:
            self._cluster.get(path)
        except Denied as refusal:
            return refusal
        return None
