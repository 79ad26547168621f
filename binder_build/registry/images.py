"""The images of a registry, made by remote builders that push them there themselves: no engine is needed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from binder_build.images.builder import Builder, BuildJob, OnEvent
from binder_build.images.buildx import Output
from binder_build.images.order import BuildOrder
from binder_build.images.progress import Note
from binder_build.images.store import BuiltImage, Files, refuse_labels
from binder_build.images.transfers import said
from binder_build.registry.contents import RegistryContents, named
from binder_build.registry.files import RemoteFiles
from binder_build.registry.pool import BuilderPool
from binder_plan.dockerfile import BASE_NAME
from binder_plan.recipe import Base
from binder_protocol.errors import EngineError, InvalidRepository

BASE = f"{BASE_NAME}:latest"
"""What Dockerfiles call the base image, wherever it is."""

_TRIES = 2


class RegistryImages:
    """Those below `registry` (host/path). Files are made below `work`."""

    def __init__(
        self,
        work: Path,
        *,
        registry: str,
        base: str,
        contents: RegistryContents,
        pool: BuilderPool,
        builder: Callable[[str], Builder],
        environ: Mapping[str, str],
        plain: bool = False,
    ) -> None:
        """`base` is the base image's name in a registry; `builder` gives that of a name out of the `pool`.

        `environ`: the variables of buildx. A `plain` registry speaks HTTP without TLS.
        """
        self._work = work
        self._registry = registry
        self._base = base
        self._contents = contents
        self._pool = pool
        self._builder = builder
        self._environ = environ
        self._output = Output.PLAIN_REGISTRY if plain else Output.REGISTRY

    def ping(self) -> None:
        """Raises `EngineError` where the registry doesn't answer."""
        self._contents.ping(f"{self._registry}/none")

    def close(self) -> None:
        """Lets go of connections."""
        self._contents.close()

    def has_buildx(self) -> bool:
        """BuildKit it is."""
        return True

    @property
    def shares_by_image(self) -> bool:
        """Remote builders write steps to a registry themselves."""
        return False

    def build(self, order: BuildOrder, on_event: OnEvent, cancel: threading.Event | None = None) -> BuiltImage:
        """As `ImageStore.build`. A build whose builder is lost starts over once, on another where there is one."""
        base = str(named(self._base).at(order.recipe.base.id))
        if order.environment is not None:
            order = replace(order, environment=self._contents.pinned(order.environment))

        def attempt(builder: str, work: Path) -> str | None:
            job = BuildJob(order, work, self._output, base)
            self._builder(builder).build(job, on_event, cancel)
            return said(job.metadata, "containerimage.digest")

        digest = self._made(attempt, order.repository or order.tag, on_event)
        if digest is None:
            raise EngineError("the builder doesn't say what it has pushed", suggestions=("build again",))
        image = self.inspect(str(named(order.tag).at(digest)))
        try:
            refuse_labels(image, order.all_labels, self.inspect(base).labels)
        except InvalidRepository:
            self.remove(order.tag)
            raise
        return image

    def push(
        self,
        reference: str,
        *,
        seconds: float = 1_800.0,  # noqa: ARG002 - the builder has pushed it already
        on_event: OnEvent | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """The image's name by digest, once it is known that it can be pulled by that: all of it is there."""
        if on_event is not None:
            on_event(Note(f"looking whether {reference} can be pulled"))
        return self._contents.whole(reference, cancel)

    def pull(
        self,
        reference: str,
        *,
        seconds: float = 1_800.0,  # noqa: ARG002 - as in `push`
        cancel: threading.Event | None = None,  # noqa: ARG002
    ) -> bool:
        """Whether it is there; there is no place to fetch it to."""
        return self.exists(reference)

    def base(self, reference: str) -> Base:
        """The base image of that name; its id is its digest there. Raises `EngineError`, also where there is none."""
        digest = self._contents.digest(reference)
        if digest is None:
            raise EngineError(
                f"the base image {reference} is not in its registry",
                suggestions=("operator: push binder-base there, and name it in `base_image`",),
            )
        return Base(BASE, digest)

    def exists(self, reference: str) -> bool:
        """Whether the registry has an image of this name; an engine's id is the name of none."""
        return self._contents.exists(reference)

    def inspect(self, reference: str) -> BuiltImage:
        """The image of this name. Raises `EngineError`, also where there is none."""
        return self._contents.inspect(reference)

    @contextmanager
    def files(self, reference: str, *, repository: str = "") -> Iterator[Files]:
        """As `ImageStore.files`; the repository's builder has most of its images already."""
        wanted = self._base if reference == BASE else reference
        builder = next(self._pool.chosen(repository or reference, _unheard))
        self._work.mkdir(parents=True, exist_ok=True)
        yield RemoteFiles(self._contents.pinned(wanted), builder, self._work, self._environ)

    def tag(self, image: str, reference: str) -> None:
        """Gives the image another name in its repository, as repository:tag."""
        self._contents.tag(image, reference)

    def remove(self, reference: str) -> None:
        """Takes a name away, and the image with its last one. Where the registry deletes nothing, it stays."""
        self._contents.remove(reference)

    def prune_cache(self, keep: int, *, unused_seconds: int | None = None) -> int:  # noqa: ARG002 - as `ImageStore`
        """Nothing: builders keep their caches by rules of their own."""
        return 0

    @property
    def disk(self) -> Path | None:
        """None of this machine's."""
        return None

    @property
    def on_machine(self) -> bool:
        """A registry is its operator's to keep small."""
        return False

    def _made(self, attempt: Callable[[str, Path], str | None], key: str, on_event: OnEvent) -> str | None:
        """The digest of what a builder made: the one that `key` stays with, or the next should that one be lost."""
        builders = self._pool.chosen(key, lambda text: on_event(Note(text)))
        for left in reversed(range(_TRIES)):
            builder = next(builders)
            try:
                with self._workspace() as work:
                    return attempt(builder, work)
            except EngineError as error:
                self._pool.lost(builder)
                if not left or error.details.get("step"):
                    raise
                on_event(Note(f"the builder {builder} was lost ({error.message}); the build starts over"))
        return None

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        self._work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._work) as place:
            yield Path(place)


def _unheard(_: str) -> None:
    """Reading files is no step that people would want to know of."""
