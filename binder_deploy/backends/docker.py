"""Applications as containers of a Docker engine. With engine.py beside it the only home of docker-py."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import docker
import docker.errors
import requests.exceptions
import structlog

from binder_deploy import containers, network
from binder_deploy.backends import Endings, Instance, Lines, State
from binder_deploy.backends.engine import DockerEndings, DockerLines, cannot_run, moment, reached, short, translated
from binder_deploy.containers import Surroundings
from binder_deploy.launches import Launch
from binder_deploy.route_files import RouteFiles
from binder_deploy.startup import Image
from binder_protocol.errors import EngineError, ImageNotFound, LaunchFailed, NoRecord
from binder_protocol.labels import APP, APPLICATION, JUPYTER
from binder_protocol.models import PreloadStatus

log = structlog.get_logger()

_ANSWER_SECONDS = 60
_CONNECTIONS = 64
_REMEMBERED_IMAGES = 1_000
_OTHERS_SECONDS, _LOOK_SECONDS = 10, 0.05
_STATES = {"created": State.CREATED, "running": State.RUNNING, "restarting": State.RUNNING, "paused": State.RUNNING}


class _NetworkLost(LaunchFailed):
    """Somebody removed the network since it was looked at."""


class Rules(Protocol):
    """What keeps applications from the host. `apply` raises Unavailable where it can't."""

    def apply(self) -> None: ...

    def remove(self) -> None: ...


class DockerBackend:
    """`net` must be this suite's own; it is made where it is missing. `stop_seconds` is the time between SIGTERM
    and SIGKILL, `pull_seconds` the longest an image may take to arrive.
    """

    def __init__(
        self,
        url: str,
        net: network.Network,
        firewall: Rules,
        route_files: RouteFiles,
        *,
        stop_seconds: int = 2,
        pull_seconds: float = 900,
        log_bytes: int = 5 * 2**20,
        disk: int | None = None,
    ) -> None:
        self._url = url
        self._network = net
        self._firewall = firewall
        self._routes = route_files
        self._stop_seconds = stop_seconds
        self._pull_seconds = pull_seconds
        self._log_bytes = log_bytes
        self._disk = disk
        self._images: dict[str, Image] = {}
        self._prepared: Surroundings | None = None
        self._preparing = threading.Lock()

    @functools.cached_property
    def _api(self) -> docker.APIClient:
        """Made at the first use, in the version that the engine speaks; no fixed one suits old and new engines."""
        return docker.APIClient(base_url=self._url, version="auto", timeout=_ANSWER_SECONDS, max_pool_size=_CONNECTIONS)

    def launch(self, launch: Launch) -> Instance:
        try:
            return self._launch(launch, self._prepared or self.prepare())
        except _NetworkLost:
            return self._launch(launch, self.prepare())

    def _launch(self, launch: Launch, around: Surroundings) -> Instance:
        image = self._image(launch.image)
        request = containers.create_request(launch, image, around)
        made = self._create(launch, request)
        self._start(launch.id, made=made)
        started = self.instance(launch.id)
        if started is None:
            raise LaunchFailed("the container was removed while it started")
        if started.address is not None:
            around_it = containers.route_of(launch.id, started.address, request["Labels"])
            self._routes.put(launch.id, around_it)
        return started

    def instance(self, identity: str) -> Instance | None:
        with translated():
            try:
                found = self._api.inspect_container(containers.name(identity))
            except docker.errors.NotFound:
                return None
        labels = found["Config"]["Labels"] or {}
        if labels.get(containers.HOME) != self._network.home:
            return None
        state = found["State"]
        exited = _STATES.get(state["Status"], State.EXITED) is State.EXITED
        return Instance(
            identity,
            _STATES.get(state["Status"], State.EXITED),
            self._address(found, labels),
            labels.get(APP) == JUPYTER,
            exit_code=state["ExitCode"] if exited else None,
            out_of_memory=exited and bool(state.get("OOMKilled")),
            ended=moment(state.get("FinishedAt", "")) if exited else None,
        )

    def instances(self) -> list[Instance]:
        wanted = {"label": [f"{containers.HOME}={self._network.home}"]}
        seen = time.monotonic()
        with translated():
            listed = self._api.containers(all=True, filters=wanted)
        found = []
        routes_wanted = {}
        for each in listed:
            identity = each["Labels"].get(APPLICATION, "")
            state = _STATES.get(each["State"], State.EXITED)
            if state is State.EXITED:  # only an inspection tells how it ended
                ended = self.instance(identity)
                found += [ended] if ended is not None else []
            else:
                jupyter = each["Labels"].get(APP) == JUPYTER
                address = self._address(each, each["Labels"])
                found.append(Instance(identity, state, address, jupyter))
                if address is not None:
                    routes_wanted[identity] = containers.route_of(identity, address, each["Labels"])
        self._routes.keep(routes_wanted, seen=seen)
        return found

    def stop(self, identity: str) -> None:
        if self.instance(identity) is None:
            return
        self._routes.remove(identity)
        name = containers.name(identity)
        with translated(), contextlib.suppress(docker.errors.NotFound):
            with contextlib.suppress(requests.exceptions.ReadTimeout):
                self._api.stop(name, timeout=self._stop_seconds)
            try:
                self._api.remove_container(name, v=True, force=True)
            except docker.errors.APIError as error:
                if error.status_code != 409:  # somebody else removes it already
                    raise
                self._api.wait(name, timeout=_ANSWER_SECONDS, condition="removed")

    def logs(self, identity: str, *, follow: bool = False, tail: int | None = None) -> Lines:
        if self.instance(identity) is None:
            raise NoRecord(f"nothing is kept of what application {identity} printed")
        with translated():
            try:
                stream = self._api.logs(
                    containers.name(identity), stream=True, follow=follow, timestamps=True,
                    tail="all" if tail is None else tail,
                )  # fmt: skip
            except docker.errors.APIError as error:
                # 409: the container is just being removed.
                if error.status_code not in (404, 409):
                    raise
                raise NoRecord(f"nothing is kept of what application {identity} printed") from None
        return DockerLines(stream)

    def endings(self) -> Endings:
        wanted = {"type": "container", "event": "die", "label": f"{containers.HOME}={self._network.home}"}
        # A client of its own: the stream stays open for as long as the service runs.
        with translated():
            api = docker.APIClient(base_url=self._url, version="auto", timeout=None)  # type: ignore[arg-type]
            return DockerEndings(api, api.events(filters=wanted, decode=True))

    def preload(self, image: str) -> None:
        self._image(image)

    def preloaded(self, image: str) -> Mapping[str, PreloadStatus]:  # noqa: ARG002
        return {}

    def room(self, launch: Launch) -> int | None:  # noqa: ARG002
        return None

    def ping(self) -> None:
        with translated():
            self._api.ping()
        self.prepare()

    def prepare(self) -> Surroundings:
        """The network and its rules are as they must be afterwards; both are looked at each time."""
        with self._preparing, translated():
            if not self._api.networks(names=[f"^{self._network.name}$"]):
                self._make_network()
            self._firewall.apply()
            if self._prepared is None:
                cpu = int(self._api.info()["NCPU"]) * 1000
                self._prepared = Surroundings(
                    self._network.home, self._network.name, cpu, log_bytes=self._log_bytes, disk=self._disk
                )
            return self._prepared

    def close(self) -> None:
        try:
            if not self.instances():
                self._dismantle()
        except (EngineError, docker.errors.APIError) as error:
            log.warning("the network could not be removed", network=self._network.name, error=str(error))
        if "_api" in vars(self):
            self._api.close()

    def _dismantle(self) -> None:
        """Removes the network and its rules; the next launch makes them anew."""
        self._prepared = None
        with translated(), contextlib.suppress(docker.errors.NotFound):
            self._api.remove_network(self._network.name)
        self._firewall.remove()

    def _create(self, launch: Launch, request: Mapping[str, Any]) -> bool:
        """Whether this call made the container; False where it was there, or somebody else makes it just now."""
        with reached():
            try:
                self._api.create_container_from_config(request, containers.name(launch.id))  # type: ignore[no-untyped-call]
            except docker.errors.NotFound as error:
                self._images.pop(launch.image, None)
                raise ImageNotFound(f"the image {launch.image} is not on this host") from error
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise cannot_run(error) from error
                return False
        return True

    def _start(self, identity: str, *, made: bool) -> None:
        deadline = time.monotonic() + _OTHERS_SECONDS
        while True:
            try:
                with reached():
                    return self._api.start(containers.name(identity))
            except docker.errors.APIError as error:
                no_network = error.status_code == 404 and "network" in short(error)
                # The name is taken before the container is there, so who came second may have to wait for it.
                if not made and error.status_code == 404 and not no_network and time.monotonic() < deadline:
                    time.sleep(_LOOK_SECONDS)
                    continue
                if made:
                    self.stop(identity)
                if no_network:
                    raise _NetworkLost("the applications' network was removed") from error
                raise cannot_run(error) from error

    def _make_network(self) -> None:
        try:
            self._api.create_network(
                self._network.name,
                driver="bridge",
                options=network.bridge_options(self._network),
                labels={containers.HOME: self._network.home},
                enable_ipv6=False,
                check_duplicate=True,
            )
        except docker.errors.APIError as error:
            if error.status_code not in (403, 409) or "already" not in str(error.explanation):
                raise

    def _image(self, name: str) -> Image:
        """What the image says of itself; pulled where it isn't here. Only what an id names is remembered."""
        known = self._images.get(name)
        if known is not None:
            return known
        with translated():
            try:
                found = self._api.inspect_image(name)  # type: ignore[no-untyped-call]
            except docker.errors.NotFound:
                self._pull(name)
                found = self._api.inspect_image(name)  # type: ignore[no-untyped-call]
        image = _image_from(found)
        if "sha256:" in name:
            if len(self._images) >= _REMEMBERED_IMAGES:
                self._images.clear()
            self._images[name] = image
        return image

    def _pull(self, name: str) -> None:
        if name.startswith("sha256:"):
            raise ImageNotFound(f"the image {name} is not on this host")
        deadline = time.monotonic() + self._pull_seconds
        try:
            with contextlib.closing(self._api.pull(name, stream=True, decode=True)) as progress:
                for step in progress:
                    if "error" in step:
                        raise ImageNotFound(f"the image {name} can't be pulled: {str(step['error'])[:500]}")
                    if time.monotonic() > deadline:
                        raise ImageNotFound(f"the image {name} didn't arrive within {self._pull_seconds:g} s")
        except docker.errors.APIError as error:
            raise ImageNotFound(f"the image {name} can't be pulled: {str(error.explanation)[:500]}") from error

    def _address(self, found: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[str, int] | None:
        endpoint = found["NetworkSettings"]["Networks"].get(self._network.name) or {}
        port = labels.get(containers.PORT)
        return (endpoint["IPAddress"], int(port)) if endpoint.get("IPAddress") and port else None


def _image_from(found: Mapping[str, Any]) -> Image:
    config = found.get("Config") or {}
    return Image(
        id=found["Id"],
        labels=tuple(sorted((config.get("Labels") or {}).items())),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
    )
