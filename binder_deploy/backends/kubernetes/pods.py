"""This suite's pods, as one watch tells them, and whoever waits for something to happen to one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from binder_deploy.backends import Instance, State
from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.answers import NOT_FOUND, Denied
from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.informer import Informer
from binder_deploy.backends.kubernetes.output import KubernetesEndings
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.reading import Pod, read
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.errors import Crashed, EngineError, Evicted

_SEEN_SECONDS = 5.0
_GONE_SECONDS = 30.0
_MOST_TAKEN = 1_000


class Pods:
    """Applications' pods by their ids, and the others. Everything here raises EngineError where the cluster was not
    heard of lately.
    """

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._site = site
        self._lock = threading.Lock()
        self._listeners: set[KubernetesEndings] = set()
        self._taken: dict[str, Instance] = {}
        where = collection("v1", "Pod", None if site.own_namespaces else site.namespace)
        self._watch: Informer[Pod] = Informer(cluster, where, objects.selector(site), read, self._on_change)

    def check(self, seconds: float = 10) -> None:
        """Returns where the watch works; begins it at the first time."""
        self._watch.check(seconds)

    def all(self) -> list[Pod]:
        """All there are, leaving ones included."""
        self.check()
        return self._watch.all()

    def taken(self) -> list[Instance]:
        """Those whose pods the cluster took away lately, as they were last: nobody else knows why they went."""
        with self._lock:
            return list(self._taken.values())

    def forget(self, identity: str) -> None:
        """Nobody needs to know any more why it went."""
        with self._lock:
            self._taken.pop(identity, None)

    def known(self, identity: str) -> Pod | None:
        """The application's pod, as far as the watch tells."""
        self.check()
        return self._watch.get(self._key(identity))

    def find(self, identity: str) -> Pod | None:
        """The application's pod; the API server is only asked about one that the watch doesn't know."""
        return self.known(identity) or self.look(identity)

    def look(self, identity: str) -> Pod | None:
        """The application's pod as the API server has it, if it is this suite's."""
        try:
            found = self._cluster.get(self._path(identity))
        except Denied as error:
            if error.code == NOT_FOUND:
                return None
            raise
        mine = (found["metadata"].get("labels") or {}).get(objects.INSTANCE) == self._site.suite
        return read(found) if mine else None

    def wait(self, identity: str, wanted: Callable[[Instance | None], bool], seconds: float) -> None:
        """Waits until `wanted` says so of the application, as far as the watch tells, or the time is over."""
        self._watch.wait(self._key(identity), lambda pod: wanted(None if pod is None else pod.instance), seconds)

    def started(self, identity: str, uid: str, seconds: float) -> Pod | None:
        """The pod once it has started, failed to, or must wait for a place; None where the time is over before.

        Raises Crashed where it vanished.
        """
        seen = False

        def settled(now: Pod | None) -> bool:
            nonlocal seen
            mine = now is not None and now.uid == uid
            seen = seen or mine
            return (seen and not mine) or (now is not None and mine and (now.settled or now.leaving))

        found = self._watch.wait(self._key(identity), settled, seconds)
        self.check()
        if found is None and not seen:  # it went before the watch told of it, or the watch is late
            found = self.look(identity)
        if found is None or found.uid != uid or found.gone:
            raise Crashed("its pod was removed by somebody else while it started")
        return found if found.settled else None

    def delete(self, pod: Pod) -> None:
        """It is on its way out afterwards, and known to be."""
        # What the cluster ended may be on a node that is no more, and would be on its way out for ever.
        grace = 0 if pod.leaving else None
        self._cluster.delete(item("v1", "Pod", pod.namespace, pod.name), uid=pod.uid, grace=grace)
        self._watch.wait(
            f"{pod.namespace}/{pod.name}",
            lambda now: now is None or now.uid != pod.uid or (now.leaving and not pod.leaving),
            _SEEN_SECONDS,
        )

    def await_end(self, pod: Pod) -> None:
        """It is gone afterwards, so that its name is free."""
        key = f"{pod.namespace}/{pod.name}"
        left = self._watch.wait(key, lambda now: now is None or now.uid != pod.uid, _GONE_SECONDS)
        if left is not None and left.uid == pod.uid:
            raise EngineError("a pod of the same application is still on its way out")

    def endings(self) -> KubernetesEndings:
        """Ids of applications that end, or find a place, from now on."""
        self.check()
        made = KubernetesEndings(self.check, self._unsubscribe)
        with self._lock:
            self._listeners.add(made)
        return made

    def close(self) -> None:
        """Ends the watch, and every wait."""
        self._watch.stop()

    def _key(self, identity: str) -> str:
        return f"{objects.namespace(identity, self._site)}/{objects.name(identity)}"

    def _path(self, identity: str) -> str:
        return item("v1", "Pod", objects.namespace(identity, self._site), objects.name(identity))

    def _on_change(self, before: Pod | None, now: Pod | None) -> None:
        told = now or before
        if told is None or not told.identity:
            return
        if now is None and isinstance(told.instance.failure, Evicted):
            with self._lock:
                if len(self._taken) < _MOST_TAKEN:
                    self._taken[told.identity] = told.instance
        ended = now is None or now.leaving or now.instance.state is State.EXITED
        doubted = now is not None and now.instance.doubt is not None
        found_place = before is not None and before.instance.waiting is not None and told.instance.waiting is None
        if ended or found_place or doubted:
            with self._lock:
                listeners = list(self._listeners)
            for each in listeners:
                each.put(told.identity)

    def _unsubscribe(self, endings: KubernetesEndings) -> None:
        with self._lock:
            self._listeners.discard(endings)
