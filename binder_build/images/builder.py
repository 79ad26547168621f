"""Runs builds: buildx where there is one, the classic builder else; within limits, followed to their end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from binder_build.images.build_files import network_context, written_secrets
from binder_build.images.buildx import Buildx, Output, is_recent, version_of
from binder_build.images.cgroup import StepGroups
from binder_build.images.engine import Engine
from binder_build.images.failures import Evidence, explain
from binder_build.images.network import BuildNetwork
from binder_build.images.order import BuildLimits, BuildOrder
from binder_build.images.progress import Event, Note, Progress, Records, squeezed
from binder_build.images.step_disk import StepDisk
from binder_build.process import DeadlinePassed, follow
from binder_plan.dockerfile import ENVIRONMENT_STAGE, LARGE_FOLDERS_CONTEXT, REPOSITORY_CONTEXT, copy_lines
from binder_plan.large_folders import LARGE_FOLDERS
from binder_plan.recipe import Kind, Recipe, Run, Step, Write
from binder_protocol.errors import BuildTimeout, NoSpace

OnEvent = Callable[[Event], None]

_GRACE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class BuildJob:
    """An order in work: the private directory `work` for the files it takes, and where the image goes to.

    `base`: where in a registry the recipe's base image is, for a builder that doesn't have it.
    """

    order: BuildOrder
    work: Path
    output: Output = Output.ENGINE
    base: str | None = None

    @property
    def metadata(self) -> Path:
        """Where the builder writes what it made."""
        return self.work / "metadata.json"

    def write(self) -> Path:
        """Writes the Dockerfile outside the context, where no .dockerignore of the repository's can take it away."""
        place = self.work / "Dockerfile"
        place.write_text(self.order.recipe.dockerfile)
        if self.order.recipe.dockerignore is not None:
            (self.work / "Dockerfile.dockerignore").write_text(self.order.recipe.dockerignore)
        return place


@dataclass
class Following:
    """A build as it is heard: its records, its progress, whom it is told to, and what may end it."""

    on_event: OnEvent
    progress: Progress
    records: Records
    cancel: threading.Event | None

    def feed(self, chunk: bytes) -> None:
        """Takes a piece of the builder's output."""
        for record in self.records.feed(chunk):
            for event in self.progress.events(record):
                self.on_event(event)


Guard = Callable[[int], AbstractContextManager[Callable[[], None]]]


def _unguarded(_: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


class Builder:
    """Builds on `engine`; `name` is one of buildx's builders (None: the engine's own); `parallel` run at once."""

    def __init__(
        self,
        engine: Engine,
        *,
        name: str | None,
        buildx: Sequence[str],
        network: BuildNetwork,
        parallel: int,
        environ: Mapping[str, str] | None = None,
        guard: Guard = _unguarded,
    ) -> None:
        """`environ`: the variables buildx is told of, where not those of this process.

        `guard` is entered for each build with buildx's process id; what it gives is called while that runs, and may
        end it.
        """
        self._engine = engine
        self._name = name
        self._command = tuple(buildx)
        self._network = network
        self._parallel = parallel
        self._environ = environ
        self._guard = guard
        self._groups = StepGroups()
        self._disk = StepDisk(self._groups)

    @property
    def is_engines_own(self) -> bool:
        """Whether it is the engine's own, which keeps its cache in the engine and images alone."""
        return self._name is None

    @cached_property
    def has_buildx(self) -> bool:
        """Whether there is a buildx that can report its progress."""
        try:
            done = subprocess.run([*self._command, "version"], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0 and is_recent(version_of(done.stdout))

    def build(self, job: BuildJob, on_event: OnEvent, cancel: threading.Event | None) -> None:
        """Raises the tree below `BuildFailed`, `EngineError`, `Cancelled`; then nothing of the build runs on."""
        self._check_room(job.order.limits)
        redact = job.order.secrets.redactor()
        progress = Progress(titles(job.order.recipe, job.order.environment, job.base), redact)
        following = Following(on_event, progress, Records(redact), cancel)
        make = self._with_buildx if self.has_buildx else self._with_classic
        with self._group(job.order.limits) as group:
            if group is None and (job.order.limits.memory or job.order.limits.cpus):
                whose = "this engine" if self._name is None else f"the builder {self._name}"
                on_event(Note(f"{whose} gives the steps of a build no limits of memory and CPU"))
            try:
                code = make(job, following, group)
            except DeadlinePassed:
                step, lines = following.progress.running()
                raise BuildTimeout(
                    f"the build took longer than {job.order.limits.seconds:.0f} s",
                    details={"step": step, "log": lines[-20:]} if step else None,
                ) from None
        for event in following.progress.close():
            on_event(event)
        if code:
            raise explain(_evidence(job, following, self._disk))

    def run_enginejob(
        self, job: Mapping[str, Any], following: Following, *, seconds: float, watch: Callable[[], None] | None = None
    ) -> int:
        """Runs `enginejob.py` on `job`; its exit code."""
        with tempfile.TemporaryFile() as given:
            given.write(json.dumps({**job, "host": self._engine.host}).encode())
            given.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-m", "binder_build.images.enginejob"],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return follow(process, seconds=seconds, cancel=following.cancel, on_output=following.feed, watch=watch)

    def _with_buildx(self, job: BuildJob, following: Following, group: str | None) -> int:
        network = self._network.with_indexes(job.order.secrets.indexes)
        run = Buildx(
            context=job.order.context / job.order.recipe.context,
            dockerfile=job.write(),
            metadata=job.metadata,
            tag=job.order.tag,
            labels=job.order.all_labels,
            build_args=job.order.recipe.build_args,
            proxies=self._network.proxy_arguments(),
            secrets=written_secrets(job.work, {**network.secrets(), **job.order.secrets.files()}),
            contexts=_contexts(network_context(network, job.work), job),
            target=job.order.target,
            builder=self._name,
            cgroup_parent=group,
            epoch=job.order.epoch,
            no_cache=job.order.no_cache,
            cache=job.order.cache,
            output=job.output,
        )
        process = subprocess.Popen(
            [*self._command, *run.arguments()],
            cwd=job.work,
            env=run.environment(self._engine.host if self._name is None else None, self._environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with self._guard(process.pid) as check:
            return follow(
                process,
                seconds=job.order.limits.seconds,
                cancel=following.cancel,
                on_error=following.feed,
                watch=lambda: self._tick(job.order.limits, check),
                grace=_GRACE_SECONDS,
            )

    def _with_classic(self, job: BuildJob, following: Following, _group: str | None) -> int:
        memory = job.order.limits.memory
        described = {
            "verb": "build",
            "context": str(job.order.context),
            "dockerfile": str(job.write()),
            "metadata": str(job.metadata),
            "ignore": _ignored(job),
            "tag": job.order.tag,
            "labels": job.order.all_labels,
            "build_args": {**job.order.recipe.build_args, **self._network.proxy_arguments()},
            "limits": {"memory": memory, "memswap": memory} if memory else {},
            "no_cache": job.order.no_cache,
            "target": job.order.target or "",
        }
        return self.run_enginejob(
            described, following, seconds=job.order.limits.seconds, watch=lambda: self._check_room(job.order.limits)
        )

    def _tick(self, limits: BuildLimits, check: Callable[[], None]) -> None:
        check()
        self._check_room(limits)
        self._groups.apply(limits.of_steps)
        if self._name is None and limits.disk is not None and self._engine.disk is not None:
            self._disk.hold(limits.disk, self._engine.disk)

    def _check_room(self, limits: BuildLimits) -> None:
        if self._name is not None or self._engine.disk is None:
            return
        free = shutil.disk_usage(self._engine.disk).free
        if free < limits.free_bytes:
            raise NoSpace(f"{_size(free)} are free on the engine's disk, {_size(limits.free_bytes)} must stay free")

    @contextmanager
    def _group(self, limits: BuildLimits) -> Iterator[str | None]:
        """The control group for the steps of a build, where this host has such."""
        if self._name is not None or not self._engine.makes_groups:
            yield None
            return
        try:
            yield self._groups.enter(limits.of_steps, self._parallel)
        finally:
            self._groups.leave()


def _contexts(network: Mapping[str, Path], job: BuildJob) -> dict[str, str]:
    """The named contexts of a build; one that has the name of a stage takes its place."""
    environment = {ENVIRONMENT_STAGE: f"docker-image://{job.order.environment}"} if job.order.environment else {}
    root = {REPOSITORY_CONTEXT: str(job.order.context)} if job.order.recipe.context else {}
    apart = job.order.recipe.large_folders and job.order.target is None
    large = {LARGE_FOLDERS_CONTEXT: str(job.order.context / LARGE_FOLDERS)} if apart else {}
    base = {job.order.recipe.base.reference.removesuffix(":latest"): f"docker-image://{job.base}"} if job.base else {}
    return {name: str(place) for name, place in network.items()} | base | environment | root | large


def titles(recipe: Recipe, environment: str | None = None, base: str | None = None) -> dict[str, str]:
    """The ends of BuildKit's names of the recipe's steps, and our title for each."""
    found = {base or f"FROM docker.io/library/{recipe.base.reference}": "base image"} if base or recipe.steps else {}
    if environment:
        found[environment] = "environment image"
    for step in recipe.steps:
        found.update({squeezed(line): step.title for line in _ends(step)})
        for tool in step.tools if isinstance(step, Run) else ():
            found.update({f"COPY <<END {tool.path}/{name}": f"hand over {name}" for name in tool.files})
            if tool.run is not None:
                found[squeezed(tool.run.command)] = tool.run.title
    return found


def _ends(step: Step) -> list[str]:
    if isinstance(step, Run):
        return [step.command]
    return [step.path] if isinstance(step, Write) else copy_lines(step)


def _evidence(job: BuildJob, following: Following, disk: StepDisk) -> Evidence:
    runs = [step for step in job.order.recipe.steps if isinstance(step, Run)]
    made = [tool.run for step in runs for tool in step.tools if tool.run is not None]
    kinds = {"base image": Kind.BASE, **{step.title: step.kind for step in (*job.order.recipe.steps, *made)}}
    failure = following.progress.failure
    killed = failure is not None and "exit code: 137" in failure.error
    return Evidence(
        failure,
        tuple(following.records.words),
        kinds,
        memory_limited=job.order.limits.memory is not None,
        disk_limit=job.order.limits.disk if killed and disk.took_one() else None,
    )


def _ignored(job: BuildJob) -> list[str]:
    """The patterns of .dockerignore, which the classic builder's client has to apply itself."""
    text = job.order.recipe.dockerignore
    own = job.order.context / ".dockerignore"
    if text is None:
        text = own.read_text(errors="replace")[:100_000] if own.is_file() and not own.is_symlink() else ""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _size(count: float) -> str:
    return f"{count / 1024**3:.1f} GiB"
