"""Routes as files that the front door watches: one for each application that runs.

Traefik could read them from the containers' labels itself. It would then list and inspect every container of the
engine whenever one starts, just while that one needs the processor; and it would need the engine's socket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

_PREFIX, _SUFFIX = "binder-", ".yml"


class RouteFiles:
    """The files of one suite in `directory`, where the front door has others of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._drafts = directory.with_name(f"{directory.name}.drafts")
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}

    def put(self, identity: str, text: str) -> None:
        """From now on this is the application's route."""
        with self._lock:
            self._written[identity] = time.monotonic()
            self._put(identity, text)

    def remove(self, identity: str) -> None:
        """The application has no route any more."""
        with self._lock:
            self._written.pop(identity, None)
            self._file(identity).unlink(missing_ok=True)

    def keep(self, wanted: Mapping[str, str], *, seen: float) -> None:
        """Exactly the routes in `wanted`, as of the moment `seen` of the monotonic clock; younger ones stay."""
        with self._lock:
            for identity in self._present() - wanted.keys():
                if self._written.get(identity, 0.0) < seen:
                    self._written.pop(identity, None)
                    self._file(identity).unlink(missing_ok=True)
            for identity, text in wanted.items():
                if self._written.get(identity, 0.0) < seen:
                    self._put(identity, text)

    def _present(self) -> set[str]:
        names = (each.name for each in self._directory.glob(f"{_PREFIX}*{_SUFFIX}"))
        return {name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for name in names}

    def _put(self, identity: str, text: str) -> None:
        file = self._file(identity)
        try:
            if file.read_text(encoding="utf-8") == text:
                return
        except FileNotFoundError:
            for directory in (self._directory, self._drafts):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written elsewhere: the front door reads everything again at each thing that happens in its directory.
        draft = self._drafts / file.name
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)

    def _file(self, identity: str) -> Path:
        return self._directory / f"{_PREFIX}{identity}{_SUFFIX}"
