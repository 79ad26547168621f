"""Steps that write the suite's configuration and key; what is there already is never written over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from binder_control.config import write_default
from binder_control.host.machine import Machine
from binder_control.paths import Paths


@dataclass(frozen=True)
class WriteConfig:
    """The commented default configuration."""

    file: Path

    def perform(self, machine: Machine) -> None:  # noqa: ARG002 - a step may need it
        write_default(self.file)


@dataclass(frozen=True)
class WriteKey:
    """A new API key, readable by its owner alone; or the mode mended of one that others may read."""

    home: Path

    def perform(self, machine: Machine) -> None:  # noqa: ARG002 - a step may need it
        paths = Paths(self.home)
        paths.prepare()
        if not paths.ensure_key():
            paths.key.chmod(0o600)
