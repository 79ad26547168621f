"""The file that lists what to install, as arguments of uv: the first that there is, in the order of precedence."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from binder_plan.addresses import Allowed
from binder_plan.buildpacks.folder import Folder
from binder_plan.python.locks import read_pylock, read_uv_lock
from binder_plan.python.pins import Wanted
from binder_plan.python.pipfile import read_lock, read_pipfile
from binder_plan.python.poetry import read_poetry
from binder_plan.python.project import PYPROJECT, Project
from binder_plan.python.requirements import read_requirements
from binder_plan.recipe import ENVIRONMENT, REPO_DIR
from binder_protocol.errors import InvalidRepository

_WRITTEN = f"{ENVIRONMENT}/share"
# As pip does it: where several indexes have a package, the best version is taken, not the first index.
_BEST = " --index-strategy unsafe-best-match"


@dataclass(frozen=True, slots=True)
class Listing:
    """What `path` asks for. `files` are needed for it, or the `whole` repository; `written` are files of the plan.

    `arguments` are those of `uv pip install`, `export` those of a `uv export` before it. `python` is a version, and
    `python_range` a range, that it names. `has_project`: the root as a package is among what is listed.
    `first`: what of it can be installed before the contents are there.
    """

    path: str
    title: str
    arguments: str = ""
    files: tuple[str, ...] = ()
    written: tuple[tuple[str, str], ...] = ()
    whole: bool = False
    export: str = ""
    python: str | None = None
    python_range: str | None = None
    uses_pyproject: bool = False
    has_project: bool = False
    first: Listing | None = None
    warnings: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether there is anything to install."""
        return bool(self.arguments or self.export)


def find_listing(folder: Folder, project: Project, allowed: Allowed) -> Listing | None:
    """Raises `InvalidRepository` where the first that there is can't be used."""
    finders: tuple[tuple[str, Callable[[Folder, str, Project, Allowed], Listing | None]], ...] = (
        ("Pipfile.lock", _pipfile),
        ("Pipfile", _pipfile),
        ("requirements.txt", _requirements),
        ("pylock.toml", _pylock),
        ("uv.lock", _uv_lock),
        ("poetry.lock", _poetry),
        (PYPROJECT, _pyproject),
    )
    for name, finder in finders:
        path = folder.find(name)
        listing = finder(folder, path, project, allowed) if path else None
        if listing:
            return listing
    return None


def _requirements(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing:
    found = read_requirements(folder.tree, path, allowed)
    best = _BEST if found.indexes else ""
    own = Listing(path, path, f"--requirement {path}{best}", found.files)
    beside = project.path == PYPROJECT and project.package and project.listed and not project.whole
    more = _pyproject(folder, PYPROJECT, project, allowed) if beside else None
    if found.whole:
        written = _lists(requirement=found.plain)
        plain = Listing(path, f"what {path} names", f"{_arguments(written)}{best}".strip(), written=_files(written))
        first = _both(plain, more) if found.plain else more
        return replace(own, files=(), whole=True, has_project=found.has_project, first=first)
    return _both(own, more)


def _both(one: Listing, other: Listing | None) -> Listing:
    if other is None:
        return one
    return replace(
        one,
        title=f"{one.title} and {other.title}",
        arguments=f"{one.arguments} {other.arguments}",
        files=(*one.files, *other.files),
        written=(*one.written, *other.written),
        uses_pyproject=True,
    )


def _pyproject(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing | None:  # noqa: ARG001
    if not project.listed:
        return None
    written = _lists(constraint=project.constraints, override=project.overrides)
    arguments = f"--requirement {path}{project.options}{_arguments(written)}"
    return Listing(path, path, arguments, (path,), _files(written), whole=project.whole, uses_pyproject=True)


def _pylock(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing:  # noqa: ARG001
    lock = read_pylock(folder.tree, path, allowed)
    arguments = f"--preview-features pylock --requirement {path}"
    return Listing(path, path, arguments, (path,), whole=lock.whole, python_range=lock.python)


def _uv_lock(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing | None:
    pyproject = folder.find(PYPROJECT)
    if pyproject is None:
        return None
    lock = read_uv_lock(folder.tree, path, allowed)
    indexes = "".join(f" --index {shlex.quote(each)}" for each in lock.indexes) + (_BEST if lock.indexes else "")
    place = f"--project {posixpath.dirname(path)} " if posixpath.dirname(path) else ""
    return Listing(
        path,
        path,
        indexes.strip(),
        (path, pyproject),
        whole=lock.whole or project.whole,
        export=f"{place}--frozen --no-header --no-annotate --no-emit-project",
        uses_pyproject=True,
    )


def _poetry(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing | None:  # noqa: ARG001
    pyproject = folder.find(PYPROJECT)
    if pyproject is None:
        return None
    listing = _of_wanted(path, read_poetry(folder.tree, path, pyproject, allowed))
    return Listing(
        path,
        path,
        listing.arguments,
        written=listing.written,
        whole=listing.whole,
        uses_pyproject=True,
        warnings=listing.warnings,
    )


def _pipfile(folder: Folder, path: str, project: Project, allowed: Allowed) -> Listing:  # noqa: ARG001
    beside = folder.find("Pipfile")
    if beside == path or beside is None:
        found = (read_pipfile if beside else read_lock)(folder.tree, path, allowed)
        return _of_wanted(path, found, found.python)
    found = read_lock(folder.tree, path, allowed)
    return _of_wanted(path, found, read_pipfile(folder.tree, beside, allowed).python or found.python)


def _of_wanted(path: str, wanted: Wanted, python: str | None = None) -> Listing:
    written = _lists(requirement=wanted.requirements, constraint=wanted.constraints)
    indexes = "".join(f" --index {shlex.quote(each)}" for each in wanted.indexes) + (_BEST if wanted.indexes else "")
    local = "".join(_local(path, place, editable=editable) for place, editable in wanted.local)
    arguments = (_arguments(written) + indexes + local).strip()
    root = any(posixpath.normpath(posixpath.join(posixpath.dirname(path), place)) == "." for place, _ in wanted.local)
    return Listing(
        path,
        path,
        arguments,
        written=_files(written),
        whole=bool(wanted.local),
        python=python,
        has_project=root,
        warnings=wanted.warnings,
    )


def _local(path: str, place: str, *, editable: bool) -> str:
    inside = posixpath.normpath(posixpath.join(REPO_DIR, posixpath.dirname(path), place))
    if inside != REPO_DIR and not inside.startswith(f"{REPO_DIR}/"):
        raise InvalidRepository(
            f"{path}: a package lies outside the repository", suggestions=("name a directory inside it",)
        )
    return f" {'--editable ' if editable else ''}{shlex.quote(inside)}"


def _lists(**lines: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """By the option that they are given with, the files to write: where, and their text."""
    return {
        option: (f"{_WRITTEN}/{option}s.txt", "".join(f"{line}\n" for line in each))
        for option, each in lines.items()
        if each
    }


def _files(written: dict[str, tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(written.values())


def _arguments(written: dict[str, tuple[str, str]]) -> str:
    return "".join(f" --{option} {path}" for option, (path, _) in written.items())
