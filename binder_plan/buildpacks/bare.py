"""The base image as it is, with the repository's contents."""

from __future__ import annotations

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.recipe import Base, PlanSettings


class Bare:
    """Fits every repository."""

    name = "bare"

    def detect(self, folder: Folder) -> Detection | None:  # noqa: ARG002
        """Always."""
        return Detection("no file says what to install: the base image and the repository's contents")

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        """Nothing is added."""
        return Parts()
