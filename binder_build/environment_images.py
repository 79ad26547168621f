"""The image of a recipe's environment: taken where an earlier build of any repository made it, else made first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from binder_build.environments import EnvironmentStore
from binder_build.images import BuildLimits, Images
from binder_build.progress import Event, Note
from binder_plan.dockerfile import ENVIRONMENT_STAGE
from binder_plan.recipe import Recipe
from binder_protocol.errors import DependencyFailed

ENVIRONMENTS = "binder/environment"
_SOURCES = "a package has no wheel: it is built from its sources, and the environment is this repository's own"


class Render(Protocol):
    """Makes the recipe of a tree; without `sources` no package is built from them."""

    def __call__(self, *, sources: bool) -> Recipe: ...


@dataclass(frozen=True)
class Workbench:
    """What an image is built with, besides its recipe."""

    context: Path
    limits: BuildLimits
    no_cache: bool
    on_event: Callable[[Event], None]
    cancel: threading.Event | None


class EnvironmentImages:
    """Those of one engine."""

    def __init__(self, images: Images, store: EnvironmentStore) -> None:
        self._images = images
        self._store = store

    def recipe(self, render: Render) -> Recipe:
        """The recipe of wheels alone, unless it is known that they are not enough."""
        recipe = render(sources=False)
        if recipe.wheels_only and recipe.environment and self._store.needs_sources(recipe.environment.key):
            return render(sources=True)
        return recipe

    def is_ready(self, key: str) -> bool:
        """Whether the environment of that key has its image here."""
        return self._images.has_buildx() and self._images.exists(f"{ENVIRONMENTS}:{key}")

    def ensure(self, recipe: Recipe, render: Render, bench: Workbench) -> tuple[Recipe, str | None]:
        """The recipe to go on with and the name of its environment's image; None where it has none of its own.

        Raises as `Images.build`.
        """
        if recipe.environment is None or not self._images.has_buildx():
            return recipe, None
        key = recipe.environment.key
        reference = f"{ENVIRONMENTS}:{key}"
        if not bench.no_cache and self._images.exists(reference):
            bench.on_event(Note(f"the environment {key[:12]} is there already: nothing is installed"))
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
        return recipe, reference

    def _build(self, recipe: Recipe, reference: str, bench: Workbench) -> None:
        self._images.build(
            bench.context,
            recipe,
            tag=reference,
            labels={},
            on_event=bench.on_event,
            limits=bench.limits,
            no_cache=bench.no_cache,
            cancel=bench.cancel,
            target=ENVIRONMENT_STAGE,
        )
