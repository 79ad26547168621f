"""The images on the engine: built, found, named, pushed, removed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from binder_build.images.builder import Builder, BuildJob, OnEvent
from binder_build.images.engine import Engine
from binder_build.images.files import ImageFiles, opened
from binder_build.images.network import BuildNetwork
from binder_build.images.order import BuildOrder
from binder_build.images.progress import Note
from binder_build.images.store import BuiltImage, image_of, refuse_labels
from binder_build.images.transfers import Transfer, said
from binder_plan.recipe import Base
from binder_protocol.errors import EngineError, InvalidRepository


class Images:
    """The images of the engine at `host` (None: as `docker` finds it). Files are made below `work`."""

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
        self._engine = Engine(host)
        self._builder = Builder(
            self._engine, name=builder, buildx=buildx, network=network or BuildNetwork(), parallel=parallel
        )

    def ping(self) -> None:
        """Raises `EngineError` where the engine doesn't answer."""
        self._engine.ping()

    def close(self) -> None:
        """Lets go of the engine's connections; the next use makes new ones."""
        self._engine.close()

    def has_buildx(self) -> bool:
        """Whether there is a buildx that can be used; else the classic builder is."""
        return self._builder.has_buildx

    @property
    def shares_by_image(self) -> bool:
        """Whether steps get to other hosts in a pushed image alone; else the builder itself writes them there."""
        return self._builder.is_engines_own

    def build(self, order: BuildOrder, on_event: OnEvent, cancel: threading.Event | None = None) -> BuiltImage:
        """As `ImageStore.build`; the engine has one builder, whoever's repository it is."""
        with self._workspace() as work:
            job = BuildJob(order, work)
            self._builder.build(job, on_event, cancel)
            # An image's id is its configuration's digest, or its manifest's in an engine with containerd's image store.
            digests = (said(job.metadata, f"containerimage.{kind}") for kind in ("config.digest", "digest"))
            image = self.inspect(next((digest for digest in digests if digest and self.exists(digest)), order.tag))
        try:
            refuse_labels(image, order.all_labels, self.inspect(order.recipe.base.reference).labels)
        except InvalidRepository:
            self.remove(order.tag)
            raise
        return image

    def push(
        self,
        reference: str,
        *,
        seconds: float = 1_800.0,
        on_event: OnEvent | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """Pushes `repository:tag`; its name by digest. Raises `EngineError`, `BuildTimeout`, `Cancelled`."""
        if on_event is not None:
            on_event(Note(f"pushing {reference}"))
        return Transfer("push", reference).run(self._builder, self._workspace, seconds, on_event, cancel)

    def pull(self, reference: str, *, seconds: float = 1_800.0, cancel: threading.Event | None = None) -> bool:
        """Pulls `repository:tag`; whether it is there. Raises `EngineError`, `BuildTimeout`, `Cancelled`."""
        with self._engine.api() as client:
            try:
                client.inspect_distribution(reference)
            except NotFound:
                return False
        Transfer("pull", reference).run(self._builder, self._workspace, seconds, None, cancel)
        return True

    def base(self, reference: str) -> Base:
        """The base image of that name. Raises `EngineError`, also where there is no such image."""
        try:
            return Base(reference, str(self._facts(reference)["Id"]))
        except ImageNotFound:
            raise EngineError(
                f"the base image {reference} is not on this host", suggestions=("on the host: binder-control setup",)
            ) from None

    def exists(self, reference: str) -> bool:
        """Whether an image of this id or name is on the engine."""
        try:
            self._facts(reference)
        except (ImageNotFound, NotFound):
            return False
        return True

    def inspect(self, reference: str) -> BuiltImage:
        """The image of this id or name. Raises `EngineError`, also where there is none."""
        try:
            facts = self._facts(reference)
        except ImageNotFound:
            raise EngineError("the image is gone from the engine", suggestions=("build again",)) from None
        return image_of(str(facts["Id"]), int(facts.get("Size") or 0), facts.get("Config") or {})

    def files(self, reference: str, *, repository: str = "") -> AbstractContextManager[ImageFiles]:  # noqa: ARG002
        """As `ImageStore.files`."""
        return opened(self._engine, reference)

    def tag(self, image: str, reference: str) -> None:
        """Gives the image the name `reference`, as repository:tag."""
        repository, _, tag = reference.rpartition(":")
        with self._engine.api() as client:
            client.tag(image, repository, tag, force=True)

    def remove(self, reference: str) -> None:
        """Takes a name away, and the image with its last one, unless a container uses it. Done twice is done once."""
        with self._engine.api() as client:
            try:
                client.remove_image(reference)
            except (ImageNotFound, NotFound):
                return
            except APIError as error:
                if error.status_code != 409:  # in use
                    raise

    def prune_cache(self, keep: int, *, unused_seconds: int | None = None) -> int:
        """As `Engine.prune_cache`; 0 where another builder keeps the steps, which has its own rules for that."""
        return self._engine.prune_cache(keep, unused_seconds=unused_seconds) if self._builder.is_engines_own else 0

    @property
    def disk(self) -> Path | None:
        """Where the engine keeps images, if this machine can see that. Raises `EngineError`."""
        return self._engine.disk

    @property
    def on_machine(self) -> bool:
        """An engine elsewhere is asked for room all the same."""
        return True

    def _facts(self, reference: str) -> Mapping[str, Any]:
        with self._engine.api() as client:
            found: Mapping[str, Any] = client.inspect_image(reference)
            return found

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        self._work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._work) as place:
            yield Path(place)
