"""requirements.txt and pyproject.toml, installed by uv into the base's environment.

What the repository's contents don't matter for comes before them: a change of a notebook installs nothing again.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from binder_build.buildpacks.folder import Detection, Folder, Parts
from binder_build.recipe import ENVIRONMENT, Cache, Copy, Kind, PlanSettings, Run, Step
from binder_build.requirements import read_requirements
from binder_protocol.errors import InvalidRepository
from binder_protocol.models import IgnoredFile

_CACHE = "/tmp/uv-cache"  # noqa: S108 - a path in the image
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class Python:
    """requirements.txt decides; a pyproject.toml in the root is installed, too, where it describes a package."""

    name = "python"

    def detect(self, folder: Folder) -> Detection | None:
        requirements = folder.find("requirements.txt")
        project = _project_file(folder)
        if requirements:
            return Detection(f"{requirements} names Python packages", tuple(filter(None, (requirements, project))))
        if project:
            return Detection(f"{project} describes a Python project", (project,))
        return None

    def render(self, folder: Folder, settings: PlanSettings) -> Parts:
        before: list[Step] = []
        after: list[Step] = []
        requirements = folder.find("requirements.txt")
        if requirements:
            found = read_requirements(folder.tree, requirements)
            install = _install(settings, Kind.DEPENDENCIES, f"install {requirements}", f"--requirement {requirements}")
            if found.whole:
                after.append(install)
            else:
                before += [Copy(Kind.DEPENDENCIES, f"copy {', '.join(found.files)}", found.files), install]
        ignored: tuple[IgnoredFile, ...] = ()
        if _project_file(folder):
            first, then = _project_steps(folder, settings, alone=requirements is None)
            before, after = [*before, *first], [*after, *then]
            if not first and not then:
                ignored = (
                    IgnoredFile(path="pyproject.toml", reason="it has no [build-system]; requirements.txt decides"),
                )
        return Parts(tuple(before), tuple(after), ignored=ignored)


def _project_file(folder: Folder) -> str | None:
    """The root's pyproject.toml, where it is more than the settings of some tools."""
    path = folder.find("pyproject.toml") if folder.is_root else None
    if path is None or not {"project", "build-system"} & _toml(folder, path).keys():
        return None
    return path


def _project_steps(folder: Folder, settings: PlanSettings, *, alone: bool) -> tuple[list[Step], list[Step]]:
    """The steps before and after the contents. As uv has it, what has no [build-system] is no package."""
    facts = _toml(folder, "pyproject.toml")
    project = facts.get("project")
    project = project if isinstance(project, dict) else {}
    package = "build-system" in facts
    dynamic = project.get("dynamic")
    listed = "dependencies" in project and not (isinstance(dynamic, list) and "dependencies" in dynamic)
    before: list[Step] = []
    after: list[Step] = []
    if listed and (alone or package):
        title = "install the dependencies of pyproject.toml"
        before = [
            Copy(Kind.DEPENDENCIES, "copy pyproject.toml", ("pyproject.toml",)),
            _install(settings, Kind.DEPENDENCIES, title, "--requirement pyproject.toml"),
        ]
    if package:
        # uv would take a package of this directory out of its cache as long as pyproject.toml is as old.
        name = project.get("name")
        fresh = f"--refresh-package {name} " if isinstance(name, str) and _NAME.fullmatch(name) else ""
        arguments = "--no-deps --reinstall ." if listed else f"{fresh}."
        after = [_install(settings, Kind.PROJECT, "install the project", arguments)]
    return before, after


def _toml(folder: Folder, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(folder.tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None


def _install(settings: PlanSettings, kind: Kind, title: str, arguments: str) -> Run:
    cache = Cache(f"binder-uv-{settings.cache_scope}", _CACHE)
    command = f"UV_CACHE_DIR={_CACHE} uv pip install --no-progress --color never --python {ENVIRONMENT} {arguments}"
    return Run(
        kind,
        title,
        command if settings.buildkit else command.replace(f"UV_CACHE_DIR={_CACHE} ", "UV_NO_CACHE=1 "),
        caches=(cache,),
    )
