"""Python environments by the files of pip, pipenv, uv and poetry, all installed by uv.

What the repository's contents don't matter for comes before them: a change of a notebook installs nothing again.
"""

from __future__ import annotations

from dataclasses import replace

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.python.interpreters import Interpreter, interpreter
from binder_plan.python.listings import Listing, find_listing
from binder_plan.python.project import Project, read_project
from binder_plan.python.uv import download_dependencies, install_dependencies, install_project, wheels_only
from binder_plan.python.version import Chosen, as_offered, from_range, from_version, parse_runtime, parse_version_file
from binder_plan.recipe import Base, Copy, Kind, PlanSettings, Step, Write
from binder_protocol.models import IgnoredFile

_LISTINGS = ("Pipfile.lock", "Pipfile", "requirements.txt", "pylock.toml", "uv.lock", "poetry.lock")


class Python:
    """One file lists what to install; the root is installed, too, where it is a package."""

    name = "python"

    def detect(self, folder: Folder) -> Detection | None:
        found = [path for name in _LISTINGS if (path := folder.find(name)) and _counts(folder, name)]
        project = read_project(folder, lambda _: True).path
        runtime = folder.find("runtime.txt")
        if runtime and parse_runtime(folder.tree.text(runtime), runtime) is None:
            runtime = None
        files = tuple(filter(None, [*found[:1], project, runtime]))
        if found:
            return Detection(f"{found[0]} names Python packages", files)
        if project:
            return Detection(f"{project} describes a Python project", files)
        return Detection(f"{runtime} names a version of Python", files) if runtime else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        project = read_project(folder, settings.registry_allowed)
        listing = find_listing(folder, project, settings.registry_allowed)
        chosen = as_offered(choose(folder, listing, project, base), base, others=settings.managed_pythons)
        python = interpreter(chosen, base, settings)
        before, ahead, after = _listed(listing, python, settings) if listing and listing.asks else ((), (), ())
        if project.package and not (listing and listing.has_project):
            after = (*after, install_project(settings, "install the project", project.arguments, python.prefix))
        before = (*python.steps, *before)
        used = {listing.path} if listing else set()
        if project.path and (project.package or (listing and listing.uses_pyproject)):
            used.add(project.path)
        return Parts(
            ahead=ahead if wheels_only(settings) and chosen.is_base else (),
            before=before,
            after=after,
            variables=python.variables,
            wheels_only=bool(before) and wheels_only(settings),
            versions={"python": chosen.version},
            ignored=_ignored(folder, listing, used),
            warnings=(*chosen.warnings, *(listing.warnings if listing else ())),
        )


def choose(folder: Folder, listing: Listing | None, project: Project, base: Base) -> Chosen:
    """By the first that says it: Pipfile, runtime.txt, `.python-version`, requires-python; else the base's."""
    if listing and listing.python:
        return from_version(listing.python, listing.path, base)
    runtime, version_file = folder.find("runtime.txt"), folder.find(".python-version")
    wanted = parse_runtime(folder.tree.text(runtime), runtime) if runtime else None
    if runtime and wanted:
        return from_version(wanted, runtime, base)
    warnings: tuple[str, ...] = ()
    if version_file:
        wanted = parse_version_file(folder.tree.text(version_file))
        if wanted:
            return from_version(wanted, version_file, base)
        warnings = (f"{version_file} names no version of Python 3: it has no effect",)
    ranges = [(listing.path, listing.python_range)] if listing else []
    for source, wanted_range in [*ranges, (project.path, project.python)]:
        if source and wanted_range is not None:
            return replace(from_range(wanted_range, source, base), warnings=warnings)
    return Chosen(base.python, warnings=warnings)


def _listed(
    listing: Listing, python: Interpreter, settings: PlanSettings
) -> tuple[tuple[Step, ...], tuple[Step, ...], tuple[Step, ...]]:
    """The steps of a listing: before the contents, ahead of them, and after them."""
    title = f"install {listing.title}"
    writes = [
        Write(Kind.DEPENDENCIES, f"write {path.rpartition('/')[2]}", path, text) for path, text in listing.written
    ]
    if listing.whole:
        before, ahead, _ = _listed(listing.first, python, settings) if listing.first else ((), (), ())
        install = install_project(settings, title, listing.arguments, python.prefix, export=listing.export)
        return before, ahead, (*writes, install)
    copies = [Copy(Kind.DEPENDENCIES, f"copy {', '.join(listing.files)}", listing.files)] if listing.files else []
    given: tuple[Step, ...] = (*copies, *writes)
    installs = install_dependencies(settings, title, listing.arguments, python.prefix, export=listing.export)
    download = download_dependencies(settings, title, listing.arguments, python.prefix, export=listing.export)
    return (*given, *installs), (*given, download), ()


def _counts(folder: Folder, name: str) -> bool:
    """uv.lock and poetry.lock say nothing without their pyproject.toml."""
    return name not in ("uv.lock", "poetry.lock") or folder.find("pyproject.toml") is not None


def _ignored(folder: Folder, listing: Listing | None, used: set[str]) -> tuple[IgnoredFile, ...]:
    found = []
    for name in (*_LISTINGS, "pyproject.toml", "setup.py"):
        path = folder.find(name)
        if path is None or path in used:
            continue
        if not _counts(folder, name):
            reason = "there is no pyproject.toml beside it"
        elif name == "pyproject.toml":
            reason = f"it has no [build-system]; {listing.path} decides" if listing else "it describes no package"
        elif name == "setup.py":
            reason = "it is in a binder directory" if not folder.is_root else "pyproject.toml says how it is built"
        else:
            reason = f"{listing.path} decides" if listing else "another file decides"
        found.append(IgnoredFile(path=path, reason=reason))
    return tuple(found)
