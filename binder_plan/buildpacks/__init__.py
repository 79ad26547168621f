"""The buildpacks in the order of their precedence: the first that detects its files wins.

A new one is a module with a class of this shape, and an entry here.
"""

from __future__ import annotations

from binder_plan.buildpacks.bare import Bare
from binder_plan.buildpacks.dev_container import DevelopmentContainer
from binder_plan.buildpacks.folder import Buildpack, Detection, Folder, Parts
from binder_plan.buildpacks.node import Node
from binder_plan.buildpacks.own_dockerfile import OwnDockerfile
from binder_plan.buildpacks.python import Python

BUILDPACKS: tuple[Buildpack, ...] = (OwnDockerfile(), Python(), Node(), DevelopmentContainer(), Bare())

__all__ = ["BUILDPACKS", "Buildpack", "Detection", "Folder", "Parts"]
