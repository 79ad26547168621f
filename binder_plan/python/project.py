"""The repository as a package of its own: pyproject.toml and setup.py in its root."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from binder_plan.addresses import Allowed, check_addresses
from binder_plan.buildpacks.folder import Folder
from binder_plan.documents import read_toml
from binder_plan.python.pins import checked_indexes, table, words
from binder_protocol.errors import InvalidRepository

PYPROJECT = "pyproject.toml"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Project:
    """What the root says of itself; no `path`: nothing.

    `package`: it can be installed; `listed`: its dependencies are known without building it; `whole`: some of them lie
    in the repository. `arguments` install it. `options` are those of [tool.uv] that installers of the dependencies are
    given; `constraints` and `overrides` are lines of requirements.
    """

    path: str | None = None
    package: bool = False
    listed: bool = False
    whole: bool = False
    arguments: str = "."
    python: Any = None
    options: str = ""
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


def read_project(folder: Folder, allowed: Allowed) -> Project:
    """Raises `InvalidRepository` for a pyproject.toml that is none, or names a host that builds don't get to.

    As uv has it, what has no [build-system] is no package. A binder directory hides all of it.
    """
    if not folder.is_root:
        return Project()
    path, setup = folder.find(PYPROJECT), folder.find("setup.py")
    facts = read_toml(folder.tree, path) if path else {}
    if path is None or not {"project", "build-system"} & facts.keys():
        # uv would take a package of this directory out of its cache as long as setup.py is as old.
        return Project(setup, package=True, arguments="--refresh .") if setup else Project()
    project = table(facts.get("project"))
    for text in words(project.get("dependencies")):
        check_addresses(text, f"{path}, [project]", allowed)
    dynamic = words(project.get("dynamic"))
    listed = "dependencies" in project and "dependencies" not in dynamic
    name = project.get("name")
    fresh = f"--refresh-package {name} " if isinstance(name, str) and _NAME.fullmatch(name) else "--refresh "
    uv = table(table(facts.get("tool")).get("uv"))
    return Project(
        path,
        package="build-system" in facts or setup is not None,
        listed=listed,
        whole=_is_whole(uv),
        arguments="--no-deps --reinstall ." if listed else f"{fresh}.",
        python=project.get("requires-python"),
        options=_indexes(uv, path, allowed),
        constraints=_lines(uv.get("constraint-dependencies"), path),
        overrides=_lines(uv.get("override-dependencies"), path),
    )


def _is_whole(uv: dict[str, Any]) -> bool:
    sources = uv.get("sources", {})
    entries = [each for value in table(sources).values() for each in (value if isinstance(value, list) else [value])]
    return "workspace" in uv or any({"path", "workspace"} & table(each).keys() for each in entries)


def _indexes(uv: dict[str, Any], path: str, allowed: Allowed) -> str:
    entries = [table(each) for each in uv.get("index", [])] if isinstance(uv.get("index"), list) else []
    checked_indexes([each.get("url") for each in entries], f"{path}, [[tool.uv.index]]", allowed)
    sources = [table(each).get("url") or table(each).get("git") for each in table(uv.get("sources")).values()]
    for address in sources:
        check_addresses(str(address or ""), f"{path}, [tool.uv.sources]", allowed)
    plain = [each for each in entries if each.get("explicit") is not True]
    return "".join(
        f" {'--default-index' if each.get('default') is True else '--index'} {shlex.quote(str(each['url']))}"
        for each in plain
    )


def _lines(value: Any, path: str) -> tuple[str, ...]:
    try:
        return tuple(str(Requirement(each)) for each in words(value))
    except InvalidRequirement:
        raise InvalidRepository(
            f"{path}: [tool.uv] names a dependency that is none", suggestions=(f"correct {path}",)
        ) from None
