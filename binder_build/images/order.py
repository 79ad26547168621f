"""What is to be built, as whoever wants an image says it, and what that may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from binder_build.images.cgroup import StepLimits
from binder_build.secrets.build_secrets import NO_SECRETS, BuildSecrets
from binder_plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What one build may take. `free_bytes` stay free on the engine's disk; the rest but `seconds` binds each step."""

    seconds: float = 3_600.0
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = 8_192
    disk: int | None = None
    free_bytes: int = 1024**3

    @property
    def of_steps(self) -> StepLimits:
        """Those of each step."""
        return StepLimits(self.memory, self.cpus, self.pids)


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """An image that is to be made of `recipe` on `context`, named `tag`, with `labels` beside the recipe's own.

    `target`: up to that stage of the Dockerfile alone; `environment`: the image that takes the place of the stage of
    that name. `secrets` reach the steps, and neither the image nor what is told of it. `cache` is where a registry
    keeps steps for other hosts; see `ImageStore.shares_by_image`. `epoch` (Unix seconds) dates the image.
    `repository`: whose build it is; where there are several builders it stays with one, for its cache.
    """

    context: Path
    recipe: Recipe
    tag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: BuildLimits = field(default_factory=BuildLimits)
    epoch: int | None = None
    no_cache: bool = False
    target: str | None = None
    environment: str | None = None
    secrets: BuildSecrets = NO_SECRETS
    cache: str | None = None
    repository: str = ""

    @property
    def all_labels(self) -> dict[str, str]:
        """Those that the image gets."""
        return {**self.recipe.labels, **self.labels}
