"""Which builder builds: a repository stays with one, for its cache, as long as that one answers."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

_TRUSTED_SECONDS = 30.0


def preference(names: Iterable[str], key: str) -> list[str]:
    """The names in the order in which `key` takes them (rendezvous hashing).

    Without one of them the order of the others stays the same: only what was built there goes elsewhere.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{name}\0{key}".encode()).digest())


class BuilderPool:
    """The builders of these names. `runs` asks one whether it answers; what it says is taken for true for a while."""

    def __init__(
        self, names: Iterable[str], runs: Callable[[str], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._names = tuple(names)
        self._runs = runs
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, bool]] = {}

    def chosen(self, key: str, note: Callable[[str], None]) -> Iterator[str]:
        """The builder for `key`, and then, each time that one was lost, the one to go to; without end.

        One that doesn't answer is passed over, and `note` is told. Where none does, it is the first: of pods one starts
        when it is asked to build.
        """
        order = preference(self._names, key)
        while True:
            silent: list[str] = []
            found = False
            for name in order:
                if not self._answers(name):
                    silent.append(name)
                    continue
                for each in silent:
                    note(f"the builder {each} doesn't answer: {name} takes its place")
                silent, found = [], True
                yield name
            if not found:
                yield order[0]

    def lost(self, name: str) -> None:
        """It ended a build: it is asked anew before the next one."""
        with self._lock:
            self._said.pop(name, None)

    def _answers(self, name: str) -> bool:
        with self._lock:
            when, answer = self._said.get(name, (-_TRUSTED_SECONDS, False))
        if self._clock() - when < _TRUSTED_SECONDS:
            return answer
        answer = self._runs(name)
        with self._lock:
            self._said[name] = self._clock(), answer
        return answer
