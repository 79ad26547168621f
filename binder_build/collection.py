"""Rubbish: images nobody needs are removed when the disk runs full, those least recently used first."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from binder_build.environments import EnvironmentImage, EnvironmentStore
from binder_build.image_store import ImageStore
from binder_build.records import Attempt
from binder_build.store import AttemptStore
from binder_client.client import Client
from binder_protocol.errors import BinderError, NoSpace
from binder_protocol.models import BuildStatus

log = structlog.get_logger()

_PAGE = 1_000
_IN_USE_SECONDS = 7_200


@dataclass(frozen=True)
class Usage:
    """What applications do with images: those that run, and when each was launched last, in seconds since 1970."""

    running: frozenset[str] = frozenset()
    launched: Mapping[str, float] = field(default_factory=dict)


def usage(client: Client) -> Usage:
    """What the deploy service says. Raises BinderError where it doesn't answer."""
    running: set[str] = set()
    launched: dict[str, float] = {}
    for each in client.deploy.list(limit=_PAGE):
        if each.image is not None:
            launched[each.image] = max(launched.get(each.image, 0.0), each.start_time.timestamp())
            if not each.status.ended:
                running.add(each.image)
    return Usage(frozenset(running), launched)


def removable(attempts: Iterable[Attempt], used: Usage, keep: int) -> list[Attempt]:
    """Whose images may go, in the order in which they should; `attempts` are given newest first.

    Never one that runs, nor the newest good one of a name and the `keep` good ones before it.
    """
    good: dict[str, int] = {}
    kept: set[str] = set(used.running)
    candidates: list[Attempt] = []
    for attempt in attempts:
        image = _image(attempt)
        if attempt.status is BuildStatus.COMPLETED and image not in kept and good.get(attempt.name, 0) <= keep:
            good[attempt.name] = good.get(attempt.name, 0) + 1
            kept.add(image)
        elif image not in kept:
            candidates.append(attempt)
    free = [each for each in candidates if _image(each) not in kept]
    return sorted(free, key=lambda each: max(used.launched.get(_image(each), 0.0), each.end or 0.0))


def idle(environments: Iterable[EnvironmentImage], now: float) -> list[EnvironmentImage]:
    """Those that no build may be using just now, in their order. Images made on one keep its layers."""
    return [each for each in environments if each.used < now - _IN_USE_SECONDS]


def _image(attempt: Attempt) -> str:
    return attempt.spec.image if attempt.spec is not None else f"{attempt.reference}"


class Collection:
    """Keeps `min_free` bytes free below each of `places`."""

    def __init__(
        self,
        store: AttemptStore,
        environments: EnvironmentStore,
        images: ImageStore,
        used: Callable[[], Usage],
        *,
        places: Sequence[Path],
        min_free: int,
        keep: int,
    ) -> None:
        self._store = store
        self._environments = environments
        self._images = images
        self._used = used
        self._places = places
        self._min_free = min_free
        self._keep = keep
        self._lock = threading.Lock()

    def make_room(self, note: Callable[[str], None]) -> None:
        """Removes what may go until there is room. Raises NoSpace where that isn't enough."""
        if self._free() >= self._min_free:
            return
        with self._lock:
            for attempt in removable(self._store.with_images(), self._use(), self._keep):
                if self._free() >= self._min_free:
                    return
                self._remove(attempt)
                note(f"the disk is nearly full: the image of {attempt.name}, attempt {attempt.number}, was removed")
            for environment in idle(self._environments.images(), time.time()):
                if self._free() >= self._min_free:
                    return
                self._images.remove(environment.reference)
                self._environments.forget_image(environment.key)
                note(f"the disk is nearly full: the environment {environment.key[:12]} was removed")
            free = self._free()
            if free < self._min_free:
                raise NoSpace(f"{free >> 20} MiB are free on the disk, and a build starts with {self._min_free >> 20}")

    def _remove(self, attempt: Attempt) -> None:
        if attempt.reference is not None:
            self._images.remove(attempt.reference)
        self._store.update(attempt, reference=None, spec=None)

    def _use(self) -> Usage:
        try:
            return self._used()
        except BinderError as error:  # the engine itself refuses to remove what runs
            log.warning("the deploy service doesn't say which images it uses", error=error.message)
            return Usage()

    def _free(self) -> int:
        return min(shutil.disk_usage(place).free for place in self._places)
