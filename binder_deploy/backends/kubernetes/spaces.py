"""Namespaces of applications' own: they outlive their pods, so they are watched, and removed, for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.answers import NOT_FOUND, Denied
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.informer import Informer
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.labels import APPLICATION


@dataclass(frozen=True)
class Space:
    """The namespace of one application."""

    identity: str
    leaving: bool


class Spaces:
    """Does nothing where all applications share one namespace."""

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site
        self._watch: Informer[Space] | None = None
        if site.own_namespaces:
            where = collection("v1", "Namespace")
            self._watch = Informer(cluster, where, f"{objects.selector(site)},{APPLICATION}", _read)

    def identities(self) -> set[str]:
        """The applications that have a namespace."""
        if self._watch is None:
            return set()
        self._watch.check()
        return {each.identity for each in self._watch.all() if not each.leaving}

    def remove(self, identity: str) -> None:
        """The application's namespace goes, if it is this suite's."""
        if self._watch is None:
            return
        path = item("v1", "Namespace", None, objects.namespace(identity, self._site))
        try:
            found = self._cluster.get(path)["metadata"]
        except Denied as error:
            if error.code != NOT_FOUND:
                raise
            return
        mine = (found.get("labels") or {}).get(objects.INSTANCE) == self._site.suite
        if mine and found.get("deletionTimestamp") is None:
            self._cluster.delete(path, uid=found["uid"])

    def close(self) -> None:
        """Ends the watch."""
        if self._watch is not None:
            self._watch.stop()


def _read(found: Json) -> Space:
    metadata = found["metadata"]
    return Space(metadata["labels"][APPLICATION], metadata.get("deletionTimestamp") is not None)
