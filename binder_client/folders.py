"""Plans of folders on this machine, made here: no server and no engine takes part."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from binder_plan.plan import make_recipe
from binder_plan.recipe import Base, PlanSettings
from binder_plan.third_party import installed
from binder_plan.tree import Tree
from binder_protocol.errors import RequestError
from binder_protocol.models import Plan
from binder_protocol.names import slug

_BASE = Base("binder-base:latest", "unknown")
_LIKE_A_PATH = ("./", "../", ".\\", "..\\", "~")


def folder_of(repository: str) -> Path | None:
    """The folder that `repository` names; None where it is the address of a repository.

    Raises RequestError for what looks like a path and is no folder.
    """
    path = Path(os.path.expanduser(repository))  # noqa: PTH111 - Path.expanduser raises for users that don't exist
    try:
        if path.is_dir():
            return path
    except (OSError, ValueError):  # no name that a file could have
        return None
    if path.is_absolute() or repository in (".", "..") or repository.startswith(_LIKE_A_PATH):
        raise RequestError(f"there is no folder {repository}", suggestions=["name a folder, or a repository's address"])
    return None


def plan_folder(folder: Path, *, subdir: str | None = None, as_of: date | None = None) -> Plan:
    """The plan of what lies in `folder` now, committed or not. Raises `InvalidRepository`.

    What only a server knows is absent: its base image, the key of the environment, what it built before.
    """
    top = folder.resolve()
    settings = PlanSettings(sources=False, as_of=None if as_of is None else as_of.isoformat())
    recipe = make_recipe(Tree(top, subdir), _BASE, settings, installed().buildpacks)
    plan = recipe.plan(name=slug(top.name) or "folder", repository=str(top), subdir=subdir)
    labels = {name: value for name, value in plan.labels.items() if _BASE.id != value}
    labels.pop("org.binder.environment", None)
    return plan.model_copy(update={"base": None, "environment": None, "labels": labels})
