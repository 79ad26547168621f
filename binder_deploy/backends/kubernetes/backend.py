"""Applications as pods of a cluster. What runs is known from one watch; a launch is three requests, as is a stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from binder_deploy.backends import Endings, Instance, Lines, State
from binder_deploy.backends.kubernetes import objects
from binder_deploy.backends.kubernetes.cluster import Cluster
from binder_deploy.backends.kubernetes.heartbeats import SILENT_SECONDS, Heartbeats
from binder_deploy.backends.kubernetes.making import Maker
from binder_deploy.backends.kubernetes.output import KubernetesLines
from binder_deploy.backends.kubernetes.paths import item
from binder_deploy.backends.kubernetes.permissions import Permissions
from binder_deploy.backends.kubernetes.pods import Pods
from binder_deploy.backends.kubernetes.preloading import Preloader
from binder_deploy.backends.kubernetes.reading import Pod
from binder_deploy.backends.kubernetes.rooms import Rooms
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.backends.kubernetes.spaces import Spaces
from binder_deploy.launches import Launch
from binder_protocol.errors import (
    Crashed,
    EngineError,
    ImageNotFound,
    InvalidTemplate,
    LaunchFailed,
    NodeSilent,
    NoRecord,
    Unschedulable,
)
from binder_protocol.models import Placement, PreloadStatus

_PING_SECONDS = 5.0
_LOOK_SECONDS = 10.0
_SURROUNDED_SECONDS = 600.0


class KubernetesBackend:
    """`start_seconds` is the longest that a pod with a place may take to start, its image's arrival included."""

    def __init__(self, cluster: Cluster, site: Site, *, start_seconds: float = 900) -> None:
        self._cluster = cluster
        self._site = site
        self._start_seconds = start_seconds
        self._pods = Pods(cluster, site)
        self._spaces = Spaces(cluster, site)
        self._maker = Maker(cluster, self._pods)
        self._permissions = Permissions(cluster, site)
        self._preloader = Preloader(cluster, site, self._pods, self._maker, seconds=start_seconds)
        self._rooms = Rooms(cluster, site)
        self._heartbeats = Heartbeats(cluster)
        self._surrounded = -float("inf")

    def launch(self, launch: Launch) -> Instance:
        _check_image(launch.image)
        known = self._pods.known(launch.id)
        if known is not None and not known.leaving and known.instance.state is State.EXITED:
            self._clear_away(known)
        wanted = objects.objects(launch, self._site)
        try:
            self._surround(launch.id)
            uid = self._maker.make(launch.id, wanted)
        except (LaunchFailed, InvalidTemplate):
            self._surrounded = -float("inf")  # the namespace may have gone, with all that was in it
            self._spaces.remove(launch.id)
            raise
        return self._started(launch, uid)

    def instance(self, identity: str) -> Instance | None:
        found = self._pods.find(identity)
        return None if found is None or found.gone else found.instance

    def instances(self) -> list[Instance]:
        found = {each.id: each for each in self._pods.taken()}
        there = [each for each in self._pods.all() if each.identity and not each.gone]
        silent = self._heartbeats.silent(each.node for each in there if each.instance.state is State.RUNNING)
        found |= {each.identity: _doubted(each) if each.node in silent else each.instance for each in there}
        for identity in self._spaces.identities() - found.keys():
            vanished = Crashed("its pod was removed by somebody else")
            found[identity] = Instance(identity, State.EXITED, ready=False, failure=vanished)
        return list(found.values())

    def stop(self, identity: str) -> None:
        found = self._pods.find(identity)
        if found is not None and not found.gone:
            self._pods.delete(found)
            if not self._site.own_namespaces:
                self._remove_owned(identity)
        self._spaces.remove(identity)
        self._pods.forget(identity)

    def logs(self, identity: str, *, follow: bool = False, tail: int | None = None) -> Lines:
        found = self._pods.find(identity)
        if found is None:
            raise NoRecord(f"nothing is kept of what application {identity} printed")
        path = f"{item('v1', 'Pod', found.namespace, found.name)}/log"

        def runs() -> bool:
            now = self.instance(identity)
            return now is not None and now.state is not State.EXITED

        return KubernetesLines(self._cluster, path, runs, follow=follow, tail=tail)

    def endings(self) -> Endings:
        return self._pods.endings()

    def wait(self, identity: str, wanted: Callable[[Instance | None], bool], seconds: float) -> None:
        """Waits until `wanted` says so of the application, as far as the watch tells, or the time is over."""
        self._pods.wait(identity, wanted, seconds)

    def preload(self, image: str, placement: Placement | None = None) -> None:
        _check_image(image)
        self._preloader.preload(image, placement)

    def preloaded(self, image: str) -> Mapping[str, PreloadStatus]:
        return self._preloader.nodes(image)

    def room(self, launch: Launch) -> int | None:
        return self._rooms.room(objects.pod(launch, self._site), self._pods.all())

    def ping(self) -> None:
        self._pods.check(_PING_SECONDS)
        self._permissions.check()

    def why_not_ready(self, identity: str) -> str:
        """What is known of why the application doesn't answer, to be put behind a sentence."""
        found = self._pods.known(identity)
        return "" if found is None else f": its pod on node {found.node} is not ready"

    def close(self) -> None:
        self._pods.close()
        self._spaces.close()
        self._cluster.close()

    def _surround(self, identity: str) -> None:
        """What must be there before a pod is: the policy of the network, the application's own namespace."""
        if not self._site.own_namespaces and time.monotonic() - self._surrounded < _SURROUNDED_SECONDS:
            return
        for each in objects.surroundings(self._site, identity, self._rooms.node_addresses()):
            if each["kind"] == "Namespace":
                self._maker.ensure(each)
            else:
                self._maker.apply(each)  # the settings may have changed, and the cluster its nodes
        self._surrounded = time.monotonic()

    def _remove_owned(self, identity: str) -> None:
        """The cluster would, at some 14 objects a second: after many stops, routes would lead nowhere for long."""
        with contextlib.suppress(EngineError):  # the pod is on its way, so the cluster does
            for path in objects.owned_paths(identity, self._site):
                self._cluster.delete(path)

    def _started(self, launch: Launch, uid: str) -> Instance:
        """The instance once it has started, or must wait for a place. What can't start is removed."""
        deadline = time.monotonic() + self._start_seconds
        found = None
        while found is None and (left := deadline - time.monotonic()) > 0:
            found = self._pods.started(launch.id, uid, min(_LOOK_SECONDS, left))
        if found is None:
            self.stop(launch.id)
            raise LaunchFailed(f"its container didn't start within {self._start_seconds:g} s")
        now = found.instance
        failure = now.failure
        if failure is None and now.waiting is not None and self._rooms.never(objects.pod(launch, self._site)):
            failure = Unschedulable(f"no node of the cluster is large enough for it: {now.waiting}")
        if failure is not None and (now.state is State.CREATED or isinstance(failure, InvalidTemplate)):
            self.stop(launch.id)
            raise failure
        return now

    def _clear_away(self, pod: Pod) -> None:
        """Removes what has ended, so that it can be started anew."""
        self._pods.delete(pod)
        self._pods.await_end(pod)
        if pod.instance.ended is not None:
            # The cluster tells the time of an ending in whole seconds: two in one second could not be told apart.
            elapsed = (datetime.now(UTC) - pod.instance.ended).total_seconds()
            time.sleep(min(1.0, max(0.0, 1.0 - elapsed)))


def _doubted(pod: Pod) -> Instance:
    silence = NodeSilent(f"its node {pod.node} was not heard of for {SILENT_SECONDS:g} s")
    return replace(pod.instance, doubt=pod.instance.doubt or silence)


def _check_image(image: str) -> None:
    if image.startswith("sha256:"):
        raise ImageNotFound(
            f"the image {image[:80]} is only known to the engine that built it",
            suggestions=("push images to a registry that the cluster's nodes reach, and build again",),
        )
