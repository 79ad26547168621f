"""What a machine has, as values; `probe` reads them, `plan` and `doctor` judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

BASE_IMAGE = "binder-base:latest"


@dataclass(frozen=True)
class HostSettings:
    """What setup and doctor are told: where the suite lives, its engine, and the ports it will want (name -> port)."""

    home: Path
    docker_host: str = "unix:///var/run/docker.sock"
    ports: Mapping[str, int] = field(default_factory=dict)
    config_file: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration file: the given one, else that of the home."""
        return self.config_file or self.home / "binder.toml"


@dataclass(frozen=True)
class Distribution:
    """As /etc/os-release names it: ("debian", "12", "bookworm"). Empty strings where there is no such file."""

    id: str = ""
    version: str = ""
    codename: str = ""

    def __str__(self) -> str:
        return f"{self.id.capitalize()} {self.version}".strip() or "an unknown system"


class Access(Enum):
    """How this user becomes root."""

    ROOT = "root"
    SUDO = "sudo"
    PASSWORD = "password"  # noqa: S105 - by sudo, which asks for one: on a terminal, so not in a service
    NONE = "none"


class Silence(Enum):
    """Why no engine answers."""

    ABSENT = "absent"  # no socket, or nobody behind it
    FORBIDDEN = "forbidden"  # it runs, and this user may not speak to it


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers. `root` is its data directory, `version` like (26, 1, 5)."""

    version: tuple[int, ...]
    storage_driver: str
    root: Path
    memory_limits: bool = True
    pids_limits: bool = True


@dataclass(frozen=True)
class Base:
    """The base image in the engine: its id, and the version of the recipe that it was made from."""

    id: str
    version: str


@dataclass(frozen=True)
class Facts:
    """One look at a machine. Sizes are bytes; `programs` are the names found on PATH or in Binder's own engine."""

    distribution: Distribution
    access: Access
    systemd: bool
    home: Path
    engine: Engine | Silence
    wanted_base: str
    base: Base | None = None
    programs: frozenset[str] = frozenset()
    plugins: frozenset[str] = frozenset()
    python: tuple[int, int] = (3, 11)
    user: str = "root"
    group_id: int = 0
    in_docker_group: bool = True
    remote_engine: bool = False
    disk_free: int = 0
    memory: int = 0
    firewall: bool = True
    config_exists: bool = False
    key_mode: int | None = None
    busy_ports: Mapping[str, int] = field(default_factory=dict)
    suite_runs: bool = False

    @property
    def is_root(self) -> bool:
        return self.access is Access.ROOT
