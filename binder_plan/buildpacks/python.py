"""requirements.txt and pyproject.toml, installed by uv into the base's environment.

What the repository's contents don't matter for comes before them: a change of a notebook installs nothing again.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.recipe import Base, Copy, Kind, PlanSettings, Step
from binder_plan.requirements import Requirements, read_requirements
from binder_plan.uv import download_dependencies, install_dependencies, install_project, wheels_only
from binder_protocol.errors import InvalidRepository
from binder_protocol.models import IgnoredFile

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

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        requirements = folder.find("requirements.txt")
        found = read_requirements(folder.tree, requirements) if requirements else Requirements((), whole=False)
        project = _project(folder, alone=requirements is None) if _project_file(folder) else _Project()
        files, listed = list(found.files), [f"--requirement {requirements}"] if requirements else []
        after: list[Step] = []
        if found.whole:
            after.append(install_project(settings, f"install {requirements}", listed.pop()))
            files = []
        if project.listed:
            files.append("pyproject.toml")
            listed.append("--requirement pyproject.toml")
        if project.package:
            after.append(install_project(settings, "install the project", project.arguments))
        title = f"install {' and '.join(each.removeprefix('--requirement ') for each in listed)}"
        arguments = " ".join(listed)
        copy = Copy(Kind.DEPENDENCIES, f"copy {', '.join(files)}", tuple(files))
        ignored = IgnoredFile(path="pyproject.toml", reason="it has no [build-system]; requirements.txt decides")
        return Parts(
            ahead=(copy, download_dependencies(settings, title, arguments)) if listed and wheels_only(settings) else (),
            before=(copy, *install_dependencies(settings, title, arguments)) if listed else (),
            after=tuple(after),
            wheels_only=bool(listed) and wheels_only(settings),
            versions={"python": base.python},
            ignored=(ignored,) if _project_file(folder) and not project.listed and not project.package else (),
        )


def _project_file(folder: Folder) -> str | None:
    """The root's pyproject.toml, where it is more than the settings of some tools."""
    path = folder.find("pyproject.toml") if folder.is_root else None
    if path is None or not {"project", "build-system"} & _toml(folder, path).keys():
        return None
    return path


@dataclass(frozen=True, slots=True)
class _Project:
    """What pyproject.toml asks for. `listed`: its dependencies are known without building it; `package`: it is one."""

    listed: bool = False
    package: bool = False
    arguments: str = ""


def _project(folder: Folder, *, alone: bool) -> _Project:
    """As uv has it, what has no [build-system] is no package."""
    facts = _toml(folder, "pyproject.toml")
    project = facts.get("project")
    project = project if isinstance(project, dict) else {}
    package = "build-system" in facts
    dynamic = project.get("dynamic")
    listed = "dependencies" in project and not (isinstance(dynamic, list) and "dependencies" in dynamic)
    # uv would take a package of this directory out of its cache as long as pyproject.toml is as old.
    name = project.get("name")
    fresh = f"--refresh-package {name} " if isinstance(name, str) and _NAME.fullmatch(name) else ""
    return _Project(listed and (alone or package), package, "--no-deps --reinstall ." if listed else f"{fresh}.")


def _toml(folder: Folder, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(folder.tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None
