"""Applications as pods of a cluster. What runs is known from one watch; a launch is three requests, a stop is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from binder_deploy.backends import Endings, Instance, Lines, State
from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.answers import Denied, why_not_launched
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.informer import Informer
from binder_deploy.backends.kubernetes.objects import Objects, owned
from binder_deploy.backends.kubernetes.output import KubernetesEndings, KubernetesLines
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.reading import Pod, read
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.launches import Launch
from binder_protocol.errors import (
    BinderError,
    Crashed,
    EngineError,
    ImageNotFound,
    InvalidTemplate,
    LaunchFailed,
    NoRecord,
)

_SEEN_SECONDS = 5.0
_GONE_SECONDS = 30.0
_LOOK_SECONDS = 10.0
_TRIES = 3
_NOT_FOUND, _CONFLICT = 404, 409


class KubernetesBackend:
    """`start_seconds` is the longest that a pod with a place may take to start, its image's arrival included."""

    def __init__(self, cluster: Cluster, site: Site, *, start_seconds: float = 900) -> None:
        self._cluster = cluster
        self._site = site
        self._start_seconds = start_seconds
        self._lock = threading.Lock()
        self._listeners: set[KubernetesEndings] = set()
        place = None if site.own_namespaces else site.namespace
        pods = collection("v1", "Pod", place)
        self.pods: Informer[Pod] = Informer(cluster, pods, objects.selector(site), read, self._on_change)

    def launch(self, launch: Launch) -> Instance:
        if launch.image.startswith("sha256:"):
            raise ImageNotFound(
                f"the image {launch.image[:80]} is only known to the engine that built it",
                suggestions=("push images to a registry that the cluster's nodes reach, and build again",),
            )
        self.pods.check()
        known = self.pods.get(self._key(launch.id))
        if known is not None and not known.leaving and known.instance.state is State.EXITED:
            self._clear_away(known)
        uid = self._make(objects.objects(launch, self._site))
        return self._started(launch.id, uid)

    def instance(self, identity: str) -> Instance | None:
        found = self._find(identity)
        return None if found is None or found.gone else found.instance

    def instances(self) -> list[Instance]:
        self.pods.check()
        return [each.instance for each in self.pods.all() if each.identity and not each.gone]

    def stop(self, identity: str) -> None:
        found = self._find(identity)
        if found is None or found.gone:
            return
        # What the cluster ended may be on a node that is no more, and would be on its way out for ever.
        grace = 0 if found.leaving else None
        self._cluster.delete(item("v1", "Pod", found.namespace, found.name), uid=found.uid, grace=grace)

        def seen(now: Pod | None) -> bool:
            return now is None or now.uid != found.uid or now.leaving

        self.pods.wait(self._key(identity), seen, _SEEN_SECONDS)

    def logs(self, identity: str, *, follow: bool = False, tail: int | None = None) -> Lines:
        found = self._find(identity)
        if found is None:
            raise NoRecord(f"nothing is kept of what application {identity} printed")
        path = f"{item('v1', 'Pod', found.namespace, found.name)}/log"

        def runs() -> bool:
            now = self.instance(identity)
            return now is not None and now.state is not State.EXITED

        return KubernetesLines(self._cluster, path, runs, follow=follow, tail=tail)

    def endings(self) -> Endings:
        self.pods.check()
        made = KubernetesEndings(self.pods.check, self._forget)
        with self._lock:
            self._listeners.add(made)
        return made

    def wait(self, identity: str, wanted: Callable[[Instance | None], bool], seconds: float) -> None:
        """Waits until `wanted` says so of the application, as far as the watch tells."""
        self.pods.wait(self._key(identity), lambda pod: wanted(None if pod is None else pod.instance), seconds)

    def preload(self, image: str) -> None:
        raise NotImplementedError

    def ping(self) -> None:
        self.pods.check(_SEEN_SECONDS)

    def close(self) -> None:
        self.pods.stop()
        self._cluster.close()

    def _make(self, wanted: Objects) -> str:
        """The uid of the pod, with all that belongs to it; nothing stays behind where a part isn't taken."""
        uid, made = self._make_pod(wanted.pod)
        try:
            for each in (wanted.service, wanted.route):
                self._make_part(owned(each, uid), uid)
        except BinderError:
            if made:
                self._cluster.delete(_path_of(wanted.pod), uid=uid)
            raise
        return uid

    def _make_pod(self, pod: Json) -> tuple[str, bool]:
        """Its uid, and whether this call made it."""
        for _ in range(_TRIES):
            try:
                return str(self._cluster.create(_collection_of(pod), pod)["metadata"]["uid"]), True
            except Denied as error:
                if error.code != _CONFLICT:
                    raise why_not_launched(error) from error
            there = self._look(_path_of(pod))
            if there is not None and not there.leaving:
                return there.uid, False
            if there is not None:
                self._wait_until_gone(there)
        raise EngineError("a pod of the same application is still on its way out")

    def _make_part(self, part: Json, uid: str) -> None:
        for _ in range(_TRIES):
            try:
                self._cluster.create(_collection_of(part), part)
                return
            except Denied as error:
                if error.code != _CONFLICT:
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
            if error.code != _NOT_FOUND:
                raise
            return False
        if uid in [each.get("uid") for each in there.get("ownerReferences") or []]:
            return True
        self._cluster.delete(path, uid=there["uid"])
        return False

    def _started(self, identity: str, uid: str) -> Instance:
        """The instance once it has started, failed to, or found no place. What failed to start is removed."""
        deadline = time.monotonic() + self._start_seconds
        found = None
        while found is None and time.monotonic() < deadline:
            found = self._look_on(identity, uid, min(_LOOK_SECONDS, deadline - time.monotonic()))
        if found is None:
            self.stop(identity)
            raise LaunchFailed(f"its container didn't start within {self._start_seconds:g} s")
        failure = found.instance.failure
        if failure is not None and (found.instance.state is State.CREATED or isinstance(failure, InvalidTemplate)):
            self.stop(identity)
            raise failure
        return found.instance

    def _look_on(self, identity: str, uid: str, seconds: float) -> Pod | None:
        """The pod, once it has come to something; None where it needs more time. Raises Crashed where it vanished."""
        seen = False

        def settled(now: Pod | None) -> bool:
            nonlocal seen
            mine = now is not None and now.uid == uid
            seen = seen or mine
            return (seen and not mine) or (now is not None and mine and (now.settled or now.leaving))

        key = self._key(identity)
        found = self.pods.wait(key, settled, seconds)
        self.pods.check()
        if found is None and not seen:  # it went before the watch told of it, or the watch is late
            found = self._look(item("v1", "Pod", *key.split("/")))
        if found is None or found.uid != uid or found.gone:
            raise Crashed("its pod was removed by somebody else while it started")
        return found if found.settled else None

    def _clear_away(self, pod: Pod) -> None:
        """Removes what has ended, so that it can be started anew."""
        self._cluster.delete(item("v1", "Pod", pod.namespace, pod.name), uid=pod.uid)
        self._wait_until_gone(pod)
        ended = pod.instance.ended
        if ended is not None:
            # The cluster tells the time of an ending in whole seconds: two in one second could not be told apart.
            elapsed = (datetime.now(UTC) - ended).total_seconds()
            time.sleep(min(1.0, max(0.0, 1.0 - elapsed)))

    def _wait_until_gone(self, pod: Pod) -> None:
        key = f"{pod.namespace}/{pod.name}"
        left = self.pods.wait(key, lambda now: now is None or now.uid != pod.uid, _GONE_SECONDS)
        if left is not None and left.uid == pod.uid:
            raise EngineError("a pod of the same application is still on its way out")

    def _find(self, identity: str) -> Pod | None:
        """The application's pod; the API server is only asked about one that the watch doesn't know."""
        self.pods.check()
        key = self._key(identity)
        return self.pods.get(key) or self._look(item("v1", "Pod", *key.split("/")))

    def _look(self, path: str) -> Pod | None:
        """The pod as the API server has it, if it is this suite's."""
        try:
            found = self._cluster.get(path)
        except Denied as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        mine = (found["metadata"].get("labels") or {}).get(objects.INSTANCE) == self._site.suite
        return read(found) if mine else None

    def _key(self, identity: str) -> str:
        return f"{objects.namespace(identity, self._site)}/{objects.name(identity)}"

    def _on_change(self, before: Pod | None, now: Pod | None) -> None:
        told = now or before
        if told is None or not told.identity:
            return
        ended = now is None or now.leaving or now.instance.state is State.EXITED
        found_place = before is not None and before.instance.waiting is not None and told.instance.waiting is None
        if ended or found_place:
            with self._lock:
                listeners = list(self._listeners)
            for each in listeners:
                each.put(told.identity)

    def _forget(self, endings: KubernetesEndings) -> None:
        with self._lock:
            self._listeners.discard(endings)


def _collection_of(manifest: Json) -> str:
    return collection(manifest["apiVersion"], manifest["kind"], manifest["metadata"].get("namespace"))


def _path_of(manifest: Json) -> str:
    return f"{_collection_of(manifest)}/{manifest['metadata']['name']}"
