"""Images on their way from the engine to a registry, and back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from binder_build.images.builder import Builder, Following, OnEvent
from binder_build.images.progress import Progress, Records
from binder_build.process import DeadlinePassed
from binder_protocol.errors import BuildTimeout, EngineError

_LAST_WORDS = 20


@dataclass(frozen=True, slots=True)
class Transfer:
    """One image, named as repository:tag."""

    verb: Literal["push", "pull"]
    reference: str

    @property
    def _step(self) -> str:
        return f"{self.verb} {self.reference}"

    def run(
        self,
        builder: Builder,
        workspace: Callable[[], AbstractContextManager[Path]],
        seconds: float,
        on_event: OnEvent | None,
        cancel: threading.Event | None,
    ) -> str:
        """Its name by digest. Raises `EngineError`, `BuildTimeout`, `Cancelled`."""
        following = Following(on_event or (lambda _: None), Progress(), Records(), cancel)
        with workspace() as work:
            metadata = work / "metadata.json"
            job = {"verb": self.verb, "reference": self.reference, "metadata": str(metadata)}
            try:
                code = builder.run_enginejob(job, following, seconds=seconds)
            except DeadlinePassed:
                raise BuildTimeout(
                    f"{self.verb}ing the image took longer than {seconds:.0f} s",
                    details={"step": self._step, "log": following.records.words[-_LAST_WORDS:]},
                ) from None
            digest = said(metadata, "containerimage.digest")
        if code or digest is None:
            raise self._failure(following.records.words or ["the registry didn't say why"])
        return f"{self.reference.rpartition(':')[0]}@{digest}"

    def _failure(self, words: list[str]) -> EngineError:
        host = self.reference.partition("/")[0]
        return EngineError(
            f"the image could not be {self.verb}ed: {words[-1].removeprefix('ERROR: ')}"[:500],
            suggestions=(
                f"on the host: docker login {host}, as the user of the build service",
                f"see that {host} answers and has room",
            ),
            details={"step": self._step, "log": words[-_LAST_WORDS:]},
        )


def said(metadata: Path, key: str) -> str | None:
    """What the engine's metadata file says of `key`."""
    with suppress(OSError, ValueError):
        found = json.loads(metadata.read_text()).get(key)
        return str(found) if found else None
    return None
