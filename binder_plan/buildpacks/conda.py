"""environment.yml and its lock files: a conda environment beside the base's, made by py-rattler."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.conda.locks import MAX_LOCK, Lock, parse_conda_lock, parse_explicit
from binder_plan.conda.rattler import PREFIX, VARIABLES, WITH_PYTHON, Wanted, contents_steps, environment_steps
from binder_plan.conda.spec import CondaSpec, package_name, package_version, parse_environment
from binder_plan.python.requirements import needs_files
from binder_plan.python.uv import install_project
from binder_plan.recipe import Base, PlanSettings
from binder_protocol.models import IgnoredFile

ENVIRONMENTS = ("environment.yml", "environment.yaml")
CONDA_LOCKS = ("conda-lock.yml", "conda-lock.yaml")
EXPLICIT = ("conda-linux-64.lock", "explicit.txt", "spec-file.txt")
_CALLS = re.compile(r"^[^#\n]*\b(conda|mamba|micromamba)\b", re.M)
# Lines of a `pip:` section by which a file of Python has an effect after all.
_NAMES = (
    ("requirements.txt", re.compile(r"^\s*-\s+[\"']?(?:-r|--requirement)\b.*\brequirements\.txt", re.M)),
    ("pyproject.toml", re.compile(r"^\s*-\s+[\"']?(?:(?:-e|--editable)\s*)?\.", re.M)),
    ("setup.py", re.compile(r"^\s*-\s+[\"']?(?:(?:-e|--editable)\s*)?\.", re.M)),
)


class Conda:
    """A lock file decides before environment.yml, and both before files of Python alone."""

    name = "conda"

    def detect(self, folder: Folder) -> Detection | None:
        lock, environment = _lock_file(folder), _find(folder, ENVIRONMENTS)
        if lock:
            return Detection(f"{lock} locks a conda environment", (lock,))
        if environment:
            text = folder.tree.text(environment)
            named = (folder.find(name) for name, pattern in _NAMES if pattern.search(text))
            return Detection(f"{environment} describes a conda environment", (environment, *filter(None, named)))
        return None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        lock = _lock_file(folder)
        if lock:
            found = _parser(lock)(folder.tree.text(lock, MAX_LOCK), lock, settings)
            environment = _find(folder, ENVIRONMENTS)
            reason = f"{lock} holds the versions chosen for it"
            ignored = (IgnoredFile(path=environment, reason=reason),) if environment else ()
            return locked_parts(found, lock, settings, ignored, conda_calls(folder))
        path = _find(folder, ENVIRONMENTS)
        assert path is not None
        spec = parse_environment(folder.tree.text(path), path, settings)
        return spec_parts(spec, path, settings, (), conda_calls(folder))


def spec_parts(
    spec: CondaSpec, path: str, settings: PlanSettings, ignored: tuple[IgnoredFile, ...], warnings: tuple[str, ...]
) -> Parts:
    """What a solved environment adds. Without a package the base's environment is enough."""
    warnings = (*spec.warnings, *warnings)
    if not spec.specs and not spec.pip:
        return Parts(ignored=ignored, warnings=(*warnings, f"{path} names no package: nothing is installed"))
    named = {package_name(each): package_version(each) for each in spec.specs}
    python = "python" in named
    extra = tuple(name for name in WITH_PYTHON if name not in named)
    local = any(needs_files(line, path, path, settings.registry_allowed) for line in spec.pip)
    wanted = Wanted(
        channels=spec.channels,
        specs=spec.specs if python or not spec.pip else (*spec.specs, "python"),
        python=python or bool(spec.pip),
        with_python=extra,
        pip=spec.pip,
        pip_in=posixpath.dirname(path) or "." if local else None,
        variables=spec.variables,
    )
    return Parts(
        before=environment_steps(wanted, f"install the conda environment of {path}", settings),
        after=contents_steps(wanted, settings),
        variables=VARIABLES,
        versions={"python": named["python"] or "the newest that fits"} if python else {},
        ignored=ignored,
        warnings=warnings,
    )


def locked_parts(
    lock: Lock, path: str, settings: PlanSettings, ignored: tuple[IgnoredFile, ...], warnings: tuple[str, ...]
) -> Parts:
    """What an environment adds that is installed exactly as it is locked."""
    versions = lock.versions
    if "python" in versions and "ipykernel" not in versions:
        warnings += (f"{path} locks no ipykernel: notebooks run on the Python of the base image",)
    wanted = Wanted(
        channels=lock.channels,
        locked=lock.packages,
        pip=lock.pip,
        hashed=True,
    )
    local = (
        install_project(settings, f"install {place}", f"--no-deps --editable {shlex.quote(place)}", PREFIX)
        for place in lock.local
    )
    return Parts(
        before=environment_steps(wanted, f"install the conda environment of {path}", settings),
        after=tuple(local),
        variables=VARIABLES,
        versions={name: versions[name] for name in ("python", "jupyterlab", "r-base", "julia") if name in versions},
        ignored=ignored,
        warnings=warnings,
    )


def conda_calls(folder: Folder) -> tuple[str, ...]:
    """What is to be said of a postBuild that calls conda, which no image holds."""
    path = folder.find("postBuild")
    called = _CALLS.search(folder.tree.text(path)) if path else None
    if called is None:
        return ()
    return (f"{path} calls {called[1]}, which is not there: name its packages in environment.yml",)


def _lock_file(folder: Folder) -> str | None:
    path = _find(folder, CONDA_LOCKS)
    if path:
        return path
    for name in EXPLICIT:
        path = folder.find(name)
        if path and "@EXPLICIT" in folder.tree.text(path, MAX_LOCK).split("\n"):
            return path
    return None


def _parser(path: str) -> Callable[[str, str, PlanSettings], Lock]:
    return parse_conda_lock if posixpath.basename(path) in CONDA_LOCKS else parse_explicit


def _find(folder: Folder, names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := folder.find(name))), None)
