"""Objects are made in the cluster: in few requests, each of which may be repeated, and nothing stays of a half."""

from __future__ import annotations

import contextlib

from binder_deploy.backends.kubernetes.answers import CONFLICT, NOT_FOUND, Denied, why_not_launched
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.objects import Objects, owned
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.pods import Pods
from binder_protocol.errors import BinderError, EngineError

_MANAGER = "binder"
_TRIES = 3


class Maker:
    """Makes what is not there. Raises what why_not_launched says where the cluster refuses."""

    def __init__(self, cluster: Cluster, pods: Pods) -> None:
        self._cluster = cluster
        self._pods = pods

    def make(self, identity: str, wanted: Objects) -> str:
        """The uid of the application's pod, which is there with all that belongs to it afterwards."""
        uid, made = self._make_pod(identity, wanted.pod)
        try:
            for each in (wanted.service, wanted.route):
                self._make_part(owned(each, uid), uid)
        except BinderError:
            if made:
                with contextlib.suppress(EngineError):  # the reconciler removes it, or takes it up
                    self._cluster.delete(_path_of(wanted.pod), uid=uid, grace=0)
            raise
        return uid

    def apply(self, wanted: Json) -> None:
        """The object is there afterwards, and as it is wanted."""
        try:
            self._cluster.apply(_path_of(wanted), wanted, _MANAGER)
        except Denied as error:
            raise why_not_launched(error) from error

    def ensure(self, *wanted: Json) -> None:
        """The objects are there afterwards; those that are there already stay as they are."""
        for each in wanted:
            try:
                self._cluster.create(_collection_of(each), each)
            except Denied as error:
                if error.code != CONFLICT:
                    raise why_not_launched(error) from error

    def _make_pod(self, identity: str, pod: Json) -> tuple[str, bool]:
        """Its uid, and whether this call made it."""
        for _ in range(_TRIES):
            try:
                return str(self._cluster.create(_collection_of(pod), pod)["metadata"]["uid"]), True
            except Denied as error:
                if error.code != CONFLICT:
                    raise why_not_launched(error) from error
            there = self._pods.look(identity)
            if there is not None and not there.leaving:
                return there.uid, False
            if there is not None:
                self._pods.await_end(there)
        raise EngineError("a pod of the same name is in the way")

    def _make_part(self, part: Json, uid: str) -> None:
        for _ in range(_TRIES):
            try:
                self._cluster.create(_collection_of(part), part)
                return
            except Denied as error:
                if error.code != CONFLICT:
                    raise why_not_launched(error) from error
            if self._owns(uid, _path_of(part)):
                return
        raise EngineError("what an earlier pod of the same application owned is still on its way out")

    def _owns(self, uid: str, path: str) -> bool:
        """Whether that pod owns what is there. What an earlier pod of the application left is removed: it would go
        sooner or later, and leave this one without.
        """
        try:
            there = self._cluster.get(path)["metadata"]
        except Denied as error:
            if error.code != NOT_FOUND:
                raise
            return False
        if uid in [each.get("uid") for each in there.get("ownerReferences") or []]:
            return True
        self._cluster.delete(path, uid=there["uid"])
        return False


def _collection_of(manifest: Json) -> str:
    return collection(manifest["apiVersion"], manifest["kind"], manifest["metadata"].get("namespace"))


def _path_of(manifest: Json) -> str:
    metadata = manifest["metadata"]
    return item(manifest["apiVersion"], manifest["kind"], metadata.get("namespace"), metadata["name"])
