"""Rubbish goes: steps beyond their cache's size; and images nobody needs, least recently used first, on a full disk."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from binder_build.environments import EnvironmentImage, EnvironmentStore
from binder_build.images.store import ImageStore
from binder_build.records import Attempt
from binder_build.store import AttemptStore
from binder_client.client import Client
from binder_protocol.errors import BinderError, EngineError, NoSpace
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
    """Keeps `min_free` bytes free where this service and the engine keep theirs, and the cache within its size."""

    def __init__(
        self,
        store: AttemptStore,
        environments: EnvironmentStore,
        images: ImageStore,
        used: Callable[[], Usage],
        *,
        state: Path,
        min_free: int,
        cache: int,
        keep: int,
    ) -> None:
        """`cache` is the most that the engine's cache of steps holds for long, in bytes."""
        self._store = store
        self._environments = environments
        self._images = images
        self._used = used
        self._state = state
        self._min_free = min_free
        self._cache = cache
        self._keep = keep
        self._lock = threading.Lock()

    def trim(self) -> None:
        """Brings the cache of steps down to its size, as far as the engine can be asked."""
        try:
            freed = self._images.prune_cache(self._cache)
        except EngineError as error:
            log.warning("the cache of build steps can't be trimmed", error=error.message)
            return
        if freed:
            log.info("the cache of build steps was trimmed", freed=freed)

    def make_room(self, note: Callable[[str], None]) -> None:
        """Removes what may go until there is room. Raises NoSpace where that isn't enough, EngineError."""
        with self._lock:
            removals = self._removals()
            while (free := self._free()) < self._min_free:
                told = next(removals, None)
                if told is None:
                    raise NoSpace(
                        f"{free >> 20} MiB are free on the disk, and a build starts with {self._min_free >> 20}"
                    )
                note(f"the disk is nearly full: {told}")

    def _removals(self) -> Iterator[str]:
        """Removes one thing after the other, for as long as it is asked; tells of each."""
        # Before the images: a layer is gone only with the last that has it.
        if freed := self._images.prune_cache(0, unused_seconds=_IN_USE_SECONDS):
            yield f"{freed >> 20} MiB of build steps that weren't used lately were removed"
        if not self._images.on_machine:
            return
        for attempt in removable(self._store.with_images(), self._use(), self._keep):
            self._remove(attempt)
            yield f"the image of {attempt.name}, attempt {attempt.number}, was removed"
        for environment in idle(self._environments.images(), time.time()):
            self._images.remove(environment.reference)
            self._environments.forget_image(environment.key)
            yield f"the environment {environment.key[:12]} was removed"
        if freed := self._images.prune_cache(0):
            yield f"the cache of build steps was emptied, of {freed >> 20} MiB"

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
        places = [self._state, *([self._images.disk] if self._images.disk else [])]
        return min(shutil.disk_usage(place).free for place in places)
