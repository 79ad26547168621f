"""The image of a recipe's environment: taken where an earlier build of any repository made it, else made first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from binder_build.environments import EnvironmentStore
from binder_build.images.order import BuildLimits, BuildOrder
from binder_build.images.progress import Event, Note
from binder_build.images.store import ImageStore
from binder_build.secrets.build_secrets import NO_SECRETS, BuildSecrets
from binder_plan.dockerfile import ENVIRONMENT_STAGE
from binder_plan.recipe import ENVIRONMENT_LABEL, Recipe
from binder_protocol.errors import BuildTimeout, DependencyFailed, EngineError

ENVIRONMENTS = "binder/environment"
_SOURCES = "a package has no wheel: it is built from its sources, and the environment is this repository's own"


class Render(Protocol):
    """Makes the recipe of a tree; without `sources` no package is built from them."""

    def __call__(self, *, sources: bool) -> Recipe: ...


@dataclass(frozen=True)
class Workbench:
    """What an image is built with, besides its recipe. `repository`: whose build it is."""

    context: Path
    limits: BuildLimits
    no_cache: bool
    on_event: Callable[[Event], None]
    cancel: threading.Event | None
    secrets: BuildSecrets = NO_SECRETS
    repository: str = ""


class _Answer(Enum):
    """The registry's, when it is asked for an environment. `NONE`: there is no registry, or it fails."""

    TAKEN = auto()
    NOT_THERE = auto()
    NONE = auto()


class EnvironmentImages:
    """Those of one store, as `repository`; where there is a `registry`, all engines that push there share theirs.

    What is found in the registry is trusted as what is found on the engine: who may push there is the operator's say.
    """

    def __init__(
        self,
        images: ImageStore,
        store: EnvironmentStore,
        *,
        repository: str = ENVIRONMENTS,
        registry: str | None = None,
        push_seconds: float = 1_800.0,
    ) -> None:
        self._images = images
        self._store = store
        self._repository = repository
        self._registry = registry
        self._push_seconds = push_seconds

    def recipe(self, render: Render) -> Recipe:
        """The recipe of wheels alone, unless it is known that they are not enough."""
        recipe = render(sources=False)
        if recipe.wheels_only and recipe.environment and self._store.needs_sources(recipe.environment.key):
            return render(sources=True)
        return recipe

    def is_ready(self, key: str) -> bool:
        """Whether the environment of that key has its image here."""
        return self._images.has_buildx() and self._images.exists(f"{self._repository}:{key}")

    def ensure(self, recipe: Recipe, render: Render, bench: Workbench) -> tuple[Recipe, str | None]:
        """The recipe to go on with and the name of its environment's image; None where it has none of its own.

        Raises as `ImageStore.build`.
        """
        if recipe.environment is None or not self._images.has_buildx():
            return recipe, None
        key = recipe.environment.key
        reference = f"{self._repository}:{key}"
        if not bench.no_cache and self._images.exists(reference):
            bench.on_event(Note(f"the environment {key[:12]} is there already: nothing is installed"))
            self._store.use(key, reference)
            return recipe, reference
        answer = _Answer.NOT_THERE if bench.no_cache else self._pull(key, reference, bench)
        if answer is _Answer.TAKEN:
            self._store.use(key, reference)
            return recipe, reference
        try:
            self._build(recipe, reference, bench)
        except DependencyFailed as error:
            if not recipe.wheels_only or not error.details.get("sources"):
                raise
            bench.on_event(Note(_SOURCES))
            self._store.note_sources(key)
            return self.ensure(render(sources=True), render, bench)
        self._store.use(key, reference)
        if self._registry is not None and answer is _Answer.NOT_THERE:
            self._push(f"{self._registry}/environment:{key}", reference, bench)
        return recipe, reference

    def _pull(self, key: str, reference: str, bench: Workbench) -> _Answer:
        """Takes the environment's image from the registry, where it has it. One that doesn't answer ends no build."""
        if self._registry is None:
            return _Answer.NONE
        shared = f"{self._registry}/environment:{key}"
        try:
            if not self._images.pull(shared, seconds=self._push_seconds, cancel=bench.cancel):
                return _Answer.NOT_THERE
        except (EngineError, BuildTimeout) as error:
            bench.on_event(Note(f"warning: the environment is not shared: {error.message}"))
            return _Answer.NONE
        fits = self._images.inspect(shared).labels.get(ENVIRONMENT_LABEL) == key
        if fits:
            self._images.tag(shared, reference)
            bench.on_event(Note(f"the environment {key[:12]} was taken from the registry: nothing is installed"))
        self._images.remove(shared)
        return _Answer.TAKEN if fits else _Answer.NOT_THERE

    def _push(self, shared: str, reference: str, bench: Workbench) -> None:
        """Shares the environment's image. It is a cache: what goes wrong ends no build."""
        self._images.tag(reference, shared)
        try:
            self._images.push(shared, seconds=self._push_seconds, on_event=bench.on_event, cancel=bench.cancel)
        except (EngineError, BuildTimeout) as error:
            bench.on_event(Note(f"warning: the environment is not shared: {error.message}"))
        finally:
            self._images.remove(shared)

    def _build(self, recipe: Recipe, reference: str, bench: Workbench) -> None:
        order = BuildOrder(
            bench.context,
            recipe,
            tag=reference,
            limits=bench.limits,
            no_cache=bench.no_cache,
            target=ENVIRONMENT_STAGE,
            secrets=bench.secrets,
            repository=bench.repository,
        )
        self._images.build(order, bench.on_event, bench.cancel)
