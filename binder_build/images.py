"""Images and the engine that makes them: buildx where there is one, the classic builder else. Home of docker-py."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from binder_build.buildx import Buildx, is_recent, version_of
from binder_build.cgroup import StepGroups, StepLimits
from binder_build.dockerfile import NETWORK_CONTEXT, copy_lines
from binder_build.failures import Evidence, explain
from binder_build.network import BuildNetwork
from binder_build.process import Cancelled, DeadlinePassed, follow
from binder_build.progress import Event, Note, Progress, Records, squeezed
from binder_build.recipe import DEFAULT_PORT, Base, Copy, Kind, Recipe
from binder_protocol.errors import BuildFailed, BuildTimeout, EngineError, InvalidRepository, NoSpace

OnEvent = Callable[[Event], None]

# Docker hands an image's labels on to its containers: with these one could pretend to be another application.
_RESERVED = re.compile(r"(?:traefik|org\.binder)\.", re.I)
_API_SECONDS = 60
_GRACE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What one build may take. `free_bytes` stay free on the engine's disk; `memory`, `cpus`, `pids` bind the steps."""

    seconds: float = 3_600.0
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = 8_192
    free_bytes: int = 1024**3

    @property
    def of_steps(self) -> StepLimits:
        return StepLimits(self.memory, self.cpus, self.pids)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image on the engine. `port` is the first it exposes; `command` None where it states none itself."""

    id: str
    size: int
    port: int
    command: tuple[str, ...] | None
    user: str
    labels: Mapping[str, str]


class Images:
    """Builds, finds, names and pushes images on the engine at `host` (None: as `docker` finds it)."""

    def __init__(
        self,
        work: Path,
        *,
        host: str | None = None,
        builder: str | None = None,
        buildx: Sequence[str] = ("docker", "buildx"),
        network: BuildNetwork | None = None,
        parallel: int = 2,
    ) -> None:
        """`builder` names one of buildx's; `parallel` builds run at once."""
        self._work = work
        self._host = host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self._builder = builder
        self._command = tuple(buildx)
        self._network = network or BuildNetwork()
        self._parallel = parallel
        self._groups = StepGroups()
        self._lock = threading.Lock()
        self._client: Any = None

    def close(self) -> None:
        """Lets go of the engine's connections; the next use makes new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- what is there ----------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Raises `EngineError` where the engine doesn't answer."""
        with self._engine() as client:
            client.ping()

    @cached_property
    def buildx_version(self) -> tuple[int, ...]:
        """The version of buildx; empty where there is none."""
        try:
            done = subprocess.run([*self._command, "version"], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ()
        return version_of(done.stdout) if done.returncode == 0 else ()

    def has_buildx(self) -> bool:
        """Whether there is a buildx that can be used; else the classic builder is."""
        return is_recent(self.buildx_version)

    def base(self, reference: str) -> Base:
        """The base image of that name. Raises `EngineError`, also where there is no such image."""
        with self._engine() as client:
            try:
                return Base(reference, str(client.inspect_image(reference)["Id"]))
            except ImageNotFound:
                raise EngineError(
                    f"the base image {reference} is not on this host",
                    suggestions=("on the host: binder-control setup",),
                ) from None

    def exists(self, reference: str) -> bool:
        """Whether an image of this id or name is on the engine."""
        with self._engine() as client:
            try:
                client.inspect_image(reference)
            except (ImageNotFound, NotFound):
                return False
            return True

    def inspect(self, reference: str) -> BuiltImage:
        """The image of this id or name. Raises `EngineError`, also where there is none."""
        with self._engine() as client:
            try:
                return _image(client.inspect_image(reference))
            except ImageNotFound:
                raise EngineError("the image is gone from the engine", suggestions=("build again",)) from None

    # --- names ------------------------------------------------------------------------------------------------------

    def tag(self, image: str, reference: str) -> None:
        """Gives the image the name `reference`, as repository:tag."""
        repository, _, tag = reference.rpartition(":")
        with self._engine() as client:
            client.tag(image, repository, tag, force=True)

    def remove(self, reference: str) -> None:
        """Takes a name away, and the image with its last one, unless a container uses it. Done twice is done once."""
        with self._engine() as client:
            try:
                client.remove_image(reference)
            except (ImageNotFound, NotFound):
                return
            except APIError as error:
                if error.status_code != 409:  # in use
                    raise

    def push(
        self,
        reference: str,
        *,
        seconds: float = 1_800.0,
        on_event: OnEvent | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """Pushes `repository:tag`; its name by digest. Raises `EngineError`, `BuildTimeout`, `Cancelled`."""
        with self._workspace() as work:
            metadata = work / "metadata.json"
            job = {"verb": "push", "reference": reference, "metadata": str(metadata)}
            if on_event is not None:
                on_event(Note(f"pushing {reference}"))
            records = Records()
            try:
                code = self._enginejob(job, records, Progress(), on_event, seconds, cancel, lambda: None)
            except DeadlinePassed:
                raise BuildTimeout(f"pushing the image took longer than {seconds:.0f} s") from None
            digest = _digest(metadata, "containerimage.digest")
            if code or digest is None:
                reason = next(reversed(records.words), "the registry didn't say why")
                raise EngineError(
                    f"the image could not be pushed: {reason.removeprefix('ERROR: ')}"[:500],
                    suggestions=("on the host: docker login REGISTRY, and see that the registry answers",),
                )
            return f"{reference.rpartition(':')[0]}@{digest}"

    # --- building ---------------------------------------------------------------------------------------------------

    def build(
        self,
        context: Path,
        recipe: Recipe,
        *,
        tag: str,
        labels: Mapping[str, str],
        on_event: OnEvent,
        limits: BuildLimits | None = None,
        epoch: int | None = None,
        no_cache: bool = False,
        cancel: threading.Event | None = None,
    ) -> BuiltImage:
        """Builds `recipe` on `context`, names the image `tag`, and labels it.

        `on_event` is called from this thread, in order; what it raises ends the build. `epoch` (Unix seconds) dates the
        image. Raises the tree below `BuildFailed`, `EngineError`, `Cancelled`; then nothing of the build runs on.
        """
        limits = limits or BuildLimits()
        self._check_room(limits)
        with self._workspace() as work, self._group(limits) as group:
            if group is None and (limits.memory or limits.cpus):
                on_event(Note("this engine gives the steps of a build no limits of memory and CPU"))
            records, progress = Records(), Progress(titles(recipe))
            make = self._with_buildx if self.has_buildx() else self._with_classic
            job = _Job(context, recipe, tag, {**recipe.labels, **labels}, limits, epoch, no_cache, group, work)
            try:
                code = make(job, records, progress, on_event, cancel)
            except DeadlinePassed:
                raise BuildTimeout(
                    f"the build took longer than {limits.seconds:.0f} s", details=_last(progress)
                ) from None
            for event in progress.close():
                on_event(event)
            if code:
                raise self._explained(recipe, records, progress, limits)
            return self._finished(job)

    def _with_buildx(
        self, job: _Job, records: Records, progress: Progress, on_event: OnEvent, cancel: threading.Event | None
    ) -> int:
        run = Buildx(
            context=job.context,
            dockerfile=job.write(),
            metadata=job.metadata,
            tag=job.tag,
            labels=job.labels,
            build_args=job.recipe.build_args,
            proxies=self._network.proxy_arguments(),
            secrets=_written(job.work, self._network.secrets(), mode=0o600),
            contexts=self._network_context(job.work),
            builder=self._builder,
            cgroup_parent=job.cgroup,
            epoch=job.epoch,
            no_cache=job.no_cache,
        )
        process = subprocess.Popen(
            [*self._command, *run.arguments()],
            cwd=job.work,
            env=run.environment(self._host if self._builder is None else None),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return follow(
            process,
            seconds=job.limits.seconds,
            cancel=cancel,
            on_error=_feeder(records, progress, on_event),
            watch=lambda: self._tick(job.limits),
            grace=_GRACE_SECONDS,
        )

    def _with_classic(
        self, job: _Job, records: Records, progress: Progress, on_event: OnEvent, cancel: threading.Event | None
    ) -> int:
        dockerfile = job.write()
        ignore = (job.recipe.dockerignore or _own_ignore(job.context)).splitlines()
        described = {
            "verb": "build",
            "context": str(job.context),
            "dockerfile": str(dockerfile),
            "metadata": str(job.metadata),
            "ignore": [line for line in ignore if line.strip() and not line.startswith("#")],
            "tag": job.tag,
            "labels": job.labels,
            "build_args": {**job.recipe.build_args, **self._network.proxy_arguments()},
            "limits": {"memory": job.limits.memory, "memswap": job.limits.memory} if job.limits.memory else {},
            "no_cache": job.no_cache,
        }
        return self._enginejob(
            described, records, progress, on_event, job.limits.seconds, cancel, lambda: self._tick(job.limits)
        )

    def _enginejob(
        self,
        job: Mapping[str, Any],
        records: Records,
        progress: Progress,
        on_event: OnEvent | None,
        seconds: float,
        cancel: threading.Event | None,
        watch: Callable[[], None],
    ) -> int:
        with tempfile.TemporaryFile() as given:
            given.write(json.dumps({**job, "host": self._host}).encode())
            given.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-m", "binder_build.enginejob"],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        feed = _feeder(records, progress, on_event or (lambda _: None))
        return follow(process, seconds=seconds, cancel=cancel, on_output=feed, watch=watch)

    def _finished(self, job: _Job) -> BuiltImage:
        digest = _digest(job.metadata, "containerimage.config.digest") or job.tag
        image = self.inspect(digest)
        ours = {name: value for name, value in image.labels.items() if _RESERVED.match(name)}
        base = self._labels_of(job.recipe.base.reference)
        foreign = {name for name, value in ours.items() if value not in (job.labels.get(name), base.get(name))}
        if foreign:
            self.remove(job.tag)
            raise InvalidRepository(
                f"the image carries labels that are Binder's own: {', '.join(sorted(foreign))}"[:300],
                suggestions=("build from an image without them",),
            )
        return image

    def _labels_of(self, reference: str) -> Mapping[str, str]:
        return self.inspect(reference).labels

    def _explained(self, recipe: Recipe, records: Records, progress: Progress, limits: BuildLimits) -> Exception:
        kinds = {step.title: step.kind for step in recipe.steps}
        return explain(
            Evidence(
                progress.failure,
                tuple(records.words),
                {**kinds, "base image": Kind.BASE},
                memory_limited=limits.memory is not None,
            )
        )

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _network_context(self, work: Path) -> dict[str, Path]:
        place = work / NETWORK_CONTEXT
        try:
            files = self._network.files()
        except OSError as error:
            raise EngineError(
                f"the CA bundle can't be read: {error.strerror}", suggestions=("operator: correct `ca_bundle`",)
            ) from None
        if files:
            place.mkdir(0o700)
            _written(place, files, mode=0o644)  # as the steps' user reads them; the directory is closed
        return {NETWORK_CONTEXT: place} if files else {}

    @property
    def _is_local(self) -> bool:
        return self._host.startswith("unix://") and self._builder is None

    @cached_property
    def _info(self) -> Mapping[str, Any]:
        with self._engine() as client:
            found: Mapping[str, Any] = client.info()
            return found

    @property
    def _cgroup_driver(self) -> str:
        return str(self._info.get("CgroupDriver"))

    @cached_property
    def _disk(self) -> Path | None:
        """Where the engine keeps its images, if that is on this machine."""
        place = Path(str(self._info.get("DockerRootDir") or "/nowhere"))
        return place if self._is_local and place.is_dir() else None

    def _check_room(self, limits: BuildLimits) -> None:
        if self._disk is None:
            return
        free = shutil.disk_usage(self._disk).free
        if free < limits.free_bytes:
            raise NoSpace(f"{_size(free)} are free on the engine's disk, {_size(limits.free_bytes)} must stay free")

    def _tick(self, limits: BuildLimits) -> None:
        self._check_room(limits)
        self._groups.apply(limits.of_steps)

    @contextmanager
    def _group(self, limits: BuildLimits) -> Iterator[str | None]:
        """The control group for the steps of a build, where this host has such."""
        if not self._is_local or self._cgroup_driver != "cgroupfs":
            yield None
            return
        try:
            yield self._groups.enter(limits.of_steps, self._parallel)
        finally:
            self._groups.leave()

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        self._work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._work) as place:
            yield Path(place)

    @contextmanager
    def _engine(self) -> Iterator[Any]:
        """The engine's client; what goes wrong with it is an `EngineError`."""
        try:
            with self._lock:
                if self._client is None:
                    self._client = docker.APIClient(base_url=self._host, version="auto", timeout=_API_SECONDS)
            yield self._client
        except (ImageNotFound, NotFound):
            raise
        except APIError as error:
            raise EngineError(f"the Docker engine refused: {error.explanation or error}"[:500]) from error
        except (DockerException, RequestException) as error:
            raise EngineError("the Docker engine doesn't answer") from error


@dataclass(frozen=True, slots=True)
class _Job:
    """One build, and the private directory in which its files are."""

    context: Path
    recipe: Recipe
    tag: str
    labels: dict[str, str]
    limits: BuildLimits
    epoch: int | None
    no_cache: bool
    cgroup: str | None
    work: Path

    @property
    def metadata(self) -> Path:
        return self.work / "metadata.json"

    def write(self) -> Path:
        """Writes the Dockerfile outside the context, where no .dockerignore of the repository's can take it away."""
        place = self.work / "Dockerfile"
        place.write_text(self.recipe.dockerfile)
        if self.recipe.dockerignore is not None:
            (self.work / "Dockerfile.dockerignore").write_text(self.recipe.dockerignore)
        return place


def titles(recipe: Recipe) -> dict[str, str]:
    """The ends of BuildKit's names of the recipe's steps, and our title for each."""
    found = {f"FROM docker.io/library/{recipe.base.reference}": "base image"} if recipe.steps else {}
    for step in recipe.steps:
        lines = copy_lines(step) if isinstance(step, Copy) else [step.command]
        found.update({squeezed(line): step.title for line in lines})
    return found


def _written(directory: Path, files: Mapping[str, bytes], *, mode: int) -> dict[str, Path]:
    """Writes the files; where each is."""
    places = {name: directory / name for name in files}
    for name, place in places.items():
        place.touch(mode)
        place.write_bytes(files[name])
        place.chmod(mode)
    return places


def _feeder(records: Records, progress: Progress, on_event: OnEvent) -> Callable[[bytes], None]:
    def feed(chunk: bytes) -> None:
        for record in records.feed(chunk):
            for event in progress.events(record):
                on_event(event)

    return feed


def _own_ignore(context: Path) -> str:
    place = context / ".dockerignore"
    return place.read_text(errors="replace")[:100_000] if place.is_file() and not place.is_symlink() else ""


def _digest(metadata: Path, key: str) -> str | None:
    with suppress(OSError, ValueError):
        found = json.loads(metadata.read_text()).get(key)
        return str(found) if found else None
    return None


def _image(facts: Mapping[str, Any]) -> BuiltImage:
    config = facts.get("Config") or {}
    ports = sorted(int(each.partition("/")[0]) for each in (config.get("ExposedPorts") or {}))
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    return BuiltImage(
        id=str(facts["Id"]),
        size=int(facts.get("Size") or 0),
        port=ports[0] if ports else DEFAULT_PORT,
        command=tuple(command) or None,
        user=str(config.get("User") or ""),
        labels=config.get("Labels") or {},
    )


def _last(progress: Progress) -> dict[str, Any]:
    step, lines = progress.running()
    return {"step": step, "log": list(lines[-20:])} if step else {}


def _size(count: float) -> str:
    return f"{count / 1024**3:.1f} GiB"


__all__ = ["Base", "BuildFailed", "BuildLimits", "BuiltImage", "Cancelled", "Images", "titles"]
