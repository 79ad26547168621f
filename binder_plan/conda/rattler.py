"""Steps by which py-rattler makes a conda environment. Neither it nor its caches stay in the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from binder_plan.conda.channels import mirrors
from binder_plan.python.uv import CACHE as UV_CACHE
from binder_plan.python.uv import finish, install_dependencies, install_project
from binder_plan.recipe import ENVIRONMENT, REPO_DIR, Cache, Kind, PlanSettings, Run, Step, Tool, path_with
from binder_protocol.errors import InvalidRepository

RATTLER = "py-rattler==0.28.0"
CONDA_DIR = "/srv/conda"
PREFIX = f"{CONDA_DIR}/envs/notebook"
NOTES = f"{PREFIX}/share/binder"
WITH_PYTHON = ("jupyterlab", "ipykernel", "pip")
VARIABLES = {
    "PATH": path_with(PREFIX),
    "CONDA_DIR": CONDA_DIR,
    "CONDA_PREFIX": PREFIX,
    "CONDA_DEFAULT_ENV": PREFIX,
    "NB_PYTHON_PREFIX": PREFIX,
    "KERNEL_PYTHON_PREFIX": PREFIX,
    # The base's JupyterLab finds the kernels of an environment without one; one of conda finds the base's settings.
    "JUPYTER_PATH": f"{PREFIX}/share/jupyter",
    "JUPYTER_CONFIG_PATH": f"{ENVIRONMENT}/etc/jupyter",
    # The base's, which tools of Python would take for the environment in use.
    "VIRTUAL_ENV": "",
    # Bash reads it before a script: what packages set on activation holds for postBuild, start, and all that it starts.
    # There is no such file until the environment is made, and no step after that shares a cache.
    "BASH_ENV": f"{NOTES}/activate.sh",
}
_CACHE = "/tmp/conda-cache"  # noqa: S108 - a path in the image
_TOOLS, _REQUEST = "/tmp/binder-rattler", "/tmp/binder-conda"  # noqa: S108


@dataclass(frozen=True, slots=True)
class Wanted:
    """A conda environment: `specs` from `channels`, or `locked` packages; and what pip's part of it is.

    `python`: the specs ask for one. With a Python come `with_python`, too.
    `pip_in` is the directory whose files the lines for pip name; None where they name none. `hashed`: each has one.
    """

    channels: tuple[str, ...]
    specs: tuple[str, ...] = ()
    locked: tuple[dict[str, str], ...] | None = None
    python: bool = False
    with_python: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    pip_in: str | None = None
    hashed: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


def environment_steps(wanted: Wanted, title: str, settings: PlanSettings) -> tuple[Step, ...]:
    """The steps that need nothing of the repository's contents."""
    if not settings.buildkit:
        raise InvalidRepository(
            "conda environments can't be made by the classic builder",
            suggestions=("operator: install docker-buildx on this host",),
        )
    # The base has a link there, to its own environment.
    make = f"rm -f {PREFIX} && mkdir {PREFIX}"
    run = f"PYTHONPATH={_TOOLS} {ENVIRONMENT}/bin/python {_REQUEST}/conda.py {_REQUEST}/request.json {PREFIX} {_CACHE}"
    steps: list[Step] = [
        Run(
            Kind.DEPENDENCIES,
            title,
            f"{make} && {run}",
            caches=(Cache(_cache_id(wanted, settings), _CACHE),),
            tools=(_rattler(), _files(_request(wanted, settings))),
        ),
    ]
    if wanted.pip and wanted.pip_in is None:
        # Python starts here with packages of the repository's choice: the cache is its own, whatever it installs.
        own = replace(settings, sources=True)
        arguments = f"{_hashes(wanted)}--requirement {NOTES}/pip.txt"
        steps += install_dependencies(own, "install pip's packages", arguments, PREFIX)
    else:
        # An old Python can't run it: then bytecode is compiled when it is needed.
        compiled = f"[ ! -x {PREFIX}/bin/python ] || {finish(PREFIX)} || true"
        steps.append(Run(Kind.DEPENDENCIES, "compile bytecode, note versions", compiled, alone=True))
    return tuple(steps)


def contents_steps(wanted: Wanted, settings: PlanSettings) -> tuple[Step, ...]:
    """The step of those lines for pip that need the repository's contents."""
    if not wanted.pip or wanted.pip_in is None:
        return ()
    # Read from the standard input, names of files are of the working directory.
    step = install_project(settings, "install pip's packages", f"--requirement - <{NOTES}/pip.txt", PREFIX)
    return (replace(step, command=f"cd {REPO_DIR}/{wanted.pip_in} && {step.command}"),)


def _cache_id(wanted: Wanted, settings: PlanSettings) -> str:
    """One for each set of channels: the same name and version from elsewhere may be another package.

    Nor could a package reach the files of another set's cache, were it to be unpacked to where it doesn't belong.
    """
    facts = json.dumps([sorted(wanted.channels), mirrors(settings)], sort_keys=True)
    return f"binder-conda-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def _hashes(wanted: Wanted) -> str:
    return "--no-deps --require-hashes " if wanted.hashed else ""


def _rattler() -> Tool:
    command = (
        f"UV_CACHE_DIR={UV_CACHE} UV_COMPILE_BYTECODE=0 uv pip install --no-progress --color never --no-build "
        f"--python {ENVIRONMENT} --target {_TOOLS} {RATTLER}"
    )
    make = Run(Kind.DEPENDENCIES, "make py-rattler ready", command, caches=(Cache("binder-wheels", UV_CACHE),))
    return Tool("rattler", _TOOLS, run=make)


def _files(request: dict[str, Any]) -> Tool:
    return Tool("conda", _REQUEST, files={"conda.py": _program(), "request.json": json.dumps(request, sort_keys=True)})


@cache
def _program() -> str:
    return (files("binder_plan.conda.installers") / "conda.py").read_text()


def _request(wanted: Wanted, settings: PlanSettings) -> dict[str, Any]:
    common: dict[str, Any] = {
        "channels": wanted.channels,
        "mirrors": mirrors(settings),
        "pip": wanted.pip,
        "variables": dict(wanted.variables),
    }
    if wanted.locked is not None:
        return {**common, "locked": wanted.locked}
    newest = {"as_of": settings.as_of} if settings.as_of else {}
    return {**common, **newest, "specs": wanted.specs, "python": wanted.python, "with_python": wanted.with_python}
