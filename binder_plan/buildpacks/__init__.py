"""The buildpacks in the order of their precedence: the first that detects its files wins.

A new one is a module with a class of this shape, and an entry here.
"""

from __future__ import annotations

from binder_plan.buildpacks.bare import Bare
from binder_plan.buildpacks.conda import Conda
from binder_plan.buildpacks.folder import Buildpack, Detection, Folder, Parts
from binder_plan.buildpacks.julia import Julia, JuliaRequire
from binder_plan.buildpacks.nix import Nix
from binder_plan.buildpacks.own_dockerfile import OwnDockerfile
from binder_plan.buildpacks.pixi import Pixi
from binder_plan.buildpacks.python import Python
from binder_plan.buildpacks.r import R

BUILDPACKS: tuple[Buildpack, ...] = (
    OwnDockerfile(),
    Julia(),
    JuliaRequire(),
    Nix(),
    R(),
    Conda(),
    Pixi(),
    Python(),
    Bare(),
)

__all__ = ["BUILDPACKS", "Buildpack", "Detection", "Folder", "Parts"]
