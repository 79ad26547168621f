"""What decides an image: the commit, the base, the buildpacks, the settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from binder_build.images import Images
from binder_build.plan import make_recipe
from binder_build.recipe import Base, PlanSettings, Recipe
from binder_build.records import Subject
from binder_build.repository import Repository
from binder_build.source import Revision
from binder_build.tree import Tree

VERSION = 1
"""To be raised whenever the same files would give another image than before."""


class Recipes:
    """Recipes on the base image of that name. `settings` are those that reach into images."""

    def __init__(
        self, images: Images, base: str, plan: PlanSettings, settings: Mapping[str, str | bool | None]
    ) -> None:
        self._images = images
        self._base = base
        self._plan = plan
        self._settings = dict(settings)

    def key(self, subject: Subject, revision: Revision) -> str:
        """Equal for all attempts that would give the same image. Raises EngineError, or where there is no base."""
        facts = [VERSION, subject.settings, revision.commit, revision.subdir, self.base().id, self._settings]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def recipe(self, tree: Tree, repository: Repository) -> Recipe:
        """How to build `tree`. Raises InvalidRepository."""
        return make_recipe(tree, self.base(), replace(self._plan, cache_scope=repository.name))

    def base(self) -> Base:
        """The base image that is there now."""
        return self._images.base(self._base)
