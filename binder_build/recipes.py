"""What decides an image: the commit, the base, the buildpacks, the settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from binder_build.images.store import ImageStore
from binder_build.records import Subject
from binder_build.secrets.build_secrets import NO_SECRETS, BuildSecrets
from binder_build.sources.repository import Repository
from binder_build.sources.source import Revision
from binder_plan.recipe import Base, PlanSettings, Recipe
from binder_plan.tree import Tree
from binder_protocol.errors import EngineError
from binder_protocol.models import BuildOptions

if TYPE_CHECKING:
    from binder_plan.third_party import Installed

log = structlog.get_logger()

VERSION = 4
"""To be raised whenever the same files would give another image than before."""


class Recipes:
    """Recipes on the base image of that name, by the buildpacks that are installed."""

    def __init__(self, images: ImageStore, base: str, plan: PlanSettings) -> None:
        self._images = images
        self._base = base
        self._plan = plan

    @cached_property
    def _installed(self) -> Installed:
        """Loaded for the first repository: buildpacks and their parsers take 5 MB, which a service at rest saves."""
        from binder_plan.third_party import installed

        found = installed()
        for problem in found.problems:
            log.warning(problem)
        return found

    def key(self, subject: Subject, revision: Revision) -> str:
        """Equal for all attempts that would give the same image. Raises EngineError, or where there is no base."""
        plan: list[object] = [self._images.has_buildx(), self._plan.ca, self._plan.index, self._plan.frontends]
        plan += [
            sorted(self._plan.mirrors.items()),
            self._plan.managed_pythons,
            self._plan.max_memory,
            self._plan.max_cpu,
        ]
        plan += self._installed.versions
        facts = [VERSION, subject.settings, revision.commit, revision.subdir, self.base().id, plan]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def recipe(
        self,
        tree: Tree,
        repository: Repository,
        options: BuildOptions,
        secrets: BuildSecrets = NO_SECRETS,
        *,
        sources: bool = True,
    ) -> Recipe:
        """How to build `tree`; without `sources` no package is built from them.

        Raises InvalidRepository, and EngineError for `secrets` where there is no buildx to hand them over.
        """
        if not secrets.empty and not self._images.has_buildx():
            raise EngineError("this host has no docker buildx, without which no build gets secrets")
        plan = replace(
            self._plan,
            buildkit=self._images.has_buildx(),
            cache_scope=repository.name,
            sources=sources,
            as_of=None if options.as_of is None else options.as_of.isoformat(),
            secrets=tuple(sorted(secrets.values)),
            indexes=tuple(sorted(secrets.indexes)),
        )
        from binder_plan.plan import make_recipe  # as late as the buildpacks

        return make_recipe(tree, self.base(), plan, self._installed.buildpacks)

    def base(self) -> Base:
        """The base image that is there now."""
        return self._images.base(self._base)
