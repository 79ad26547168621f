"""What the service asks of the place where images are kept: an engine, or a registry that remote builders push to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from binder_build.images.builder import OnEvent
from binder_build.images.order import BuildOrder
from binder_plan.recipe import DEFAULT_PORT, Base
from binder_protocol.errors import InvalidRepository

# Docker hands an image's labels on to its containers: with these one could pretend to be another application.
_RESERVED = re.compile(r"(?:traefik|org\.binder)\.", re.I)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image, where it is kept. `port` is the first it exposes; `command` None where it states none itself."""

    id: str
    size: int
    port: int
    command: tuple[str, ...] | None
    user: str
    labels: Mapping[str, str]


class Files(Protocol):
    """The files of one image, while it is open. What is in them is a stranger's."""

    def read(self, path: str, limit: int) -> bytes | None:
        """The file at `path`; None where there is none, or nothing of `limit` bytes."""

    def below(self, path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[tuple[str, bytes]]:
        """Name and contents of the `wanted` files at and below `path`, of at most `limit` bytes each."""


class ImageStore(Protocol):
    """Images that are built, found, named, pushed, removed. An image goes by its `id`, or by a name.

    Raises `EngineError` where the place or its builders don't answer.
    """

    def ping(self) -> None:
        """Raises `EngineError` where images can't be had."""

    def close(self) -> None:
        """Lets go of connections; the next use makes new ones."""

    def has_buildx(self) -> bool:
        """Whether BuildKit builds; else the classic builder does."""

    @property
    def shares_by_image(self) -> bool:
        """Whether steps get to other hosts in a pushed image alone; else the builder itself writes them there."""

    def build(self, order: BuildOrder, on_event: OnEvent, cancel: threading.Event | None = None) -> BuiltImage:
        """The image that was ordered, named and labelled.

        `on_event` is called from this thread, in order; what it raises ends the build. Raises the tree below
        `BuildFailed`, `EngineError`, `Cancelled`; then nothing of the build runs on.
        """

    def push(
        self,
        reference: str,
        *,
        seconds: float = 1_800.0,
        on_event: OnEvent | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """The name by digest of `repository:tag`, once a registry has it. Raises `BuildTimeout`, `Cancelled`, too."""

    def pull(self, reference: str, *, seconds: float = 1_800.0, cancel: threading.Event | None = None) -> bool:
        """Fetches `repository:tag`; whether it is there. Raises `BuildTimeout`, `Cancelled`, too."""

    def base(self, reference: str) -> Base:
        """The base image of that name. Raises `EngineError`, also where there is no such image."""

    def exists(self, reference: str) -> bool:
        """Whether there is an image of this id or name."""

    def inspect(self, reference: str) -> BuiltImage:
        """The image of this id or name. Raises `EngineError`, also where there is none."""

    def files(self, reference: str, *, repository: str = "") -> AbstractContextManager[Files]:
        """The files of the image of this id or name, to be read. Raises `EngineError`, also where there is none."""

    def tag(self, image: str, reference: str) -> None:
        """Gives the image the name `reference`, as repository:tag."""

    def remove(self, reference: str) -> None:
        """Takes a name away, and the image with its last one, unless it is used. Done twice is done once."""

    def prune_cache(self, keep: int, *, unused_seconds: int | None = None) -> int:
        """Removes steps from the builder's cache until it holds `keep` bytes at most; the bytes freed.

        Those used within `unused_seconds`, those a build uses and the layers of images stay. 0 where the builder keeps
        its cache by its own rules.
        """

    @property
    def disk(self) -> Path | None:
        """Where images are kept, if this machine can see that."""

    @property
    def on_machine(self) -> bool:
        """Whether images take room here, so that removing them makes some."""


def image_of(name: str, size: int, config: Mapping[str, Any]) -> BuiltImage:
    """The image with that id and configuration, as engines and registries write it."""
    ports = sorted(int(each.partition("/")[0]) for each in (config.get("ExposedPorts") or {}))
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    return BuiltImage(
        id=name,
        size=size,
        port=ports[0] if ports else DEFAULT_PORT,
        command=tuple(command) or None,
        user=str(config.get("User") or ""),
        labels=config.get("Labels") or {},
    )


def refuse_labels(image: BuiltImage, given: Mapping[str, str], inherited: Mapping[str, str]) -> None:
    """Raises `InvalidRepository` where the image has labels of Binder's or Traefik's that didn't come from us."""
    foreign = [
        name
        for name, value in image.labels.items()
        if _RESERVED.match(name) and value not in (given.get(name), inherited.get(name))
    ]
    if foreign:
        raise InvalidRepository(
            f"the image carries labels that are Binder's own: {', '.join(sorted(foreign))}"[:300],
            suggestions=("build from an image without them",),
        )
