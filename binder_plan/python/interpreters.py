"""Steps by which an image gets another Python than its base has: one of uv's managed interpreters, with JupyterLab."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field

from binder_plan.python.uv import UV, environment, install_dependencies
from binder_plan.python.version import Chosen
from binder_plan.recipe import ENVIRONMENT, Base, Cache, Kind, PlanSettings, Run, Step, path_with

PLACE = "/opt/binder/python"
PREFIX = f"{PLACE}/env"
_DOWNLOADS = "/tmp/uv-pythons"  # noqa: S108 - a path in the image
_JUPYTER = "jupyterlab ipykernel pip"
_MIRRORS = {"python": "UV_PYTHON_INSTALL_MIRROR", "python-downloads": "UV_PYTHON_DOWNLOADS_JSON_URL"}
_SETTINGS = "etc/jupyter/jupyter_server_config.py"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The environment at `prefix`, the steps that make it, and the variables by which programs find it."""

    prefix: str = ENVIRONMENT
    steps: tuple[Step, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


def interpreter(chosen: Chosen, base: Base, settings: PlanSettings) -> Interpreter:
    """That of the base image where it is the chosen one, else one that is downloaded, with JupyterLab in it, too."""
    if chosen.is_base:
        return Interpreter()
    # Nothing of a repository runs in these steps: their caches may be shared.
    download = Run(
        Kind.DEPENDENCIES,
        f"install Python {chosen.version}",
        _download(chosen, base, settings),
        caches=(Cache(f"binder-pythons{_origin(settings)}", _DOWNLOADS),),
    )
    steps = (
        Run(Kind.SYSTEM, "make room for Python", f"install -d -o 1000 -g 1000 {PLACE}", root=True),
        download,
        *install_dependencies(settings, f"install JupyterLab for Python {chosen.version}", _JUPYTER, PREFIX),
    )
    return Interpreter(PREFIX, steps, _variables())


def _download(chosen: Chosen, base: Base, settings: PlanSettings) -> str:
    variables = [
        f"UV_PYTHON_INSTALL_DIR={PLACE}/versions",
        "UV_PYTHON_DOWNLOADS=manual",
        environment(settings),
        f"UV_PYTHON_CACHE_DIR={_DOWNLOADS}" if settings.buildkit else "UV_NO_CACHE=1",
    ]
    addresses = {variable: settings.mirrors.get(name) for name, variable in _MIRRORS.items()}
    variables += [f"{variable}={shlex.quote(address)}" for variable, address in addresses.items() if address]
    version = chosen.version
    said = f"Python {version}, which {chosen.source} asks for, can't be had here. There is Python {base.python}."
    return (
        f"export {' '.join(variables)}; "
        f"{UV} python install --no-bin --no-progress --color never {version} && "
        f"{UV} venv --quiet --no-project --managed-python --python {version} {PREFIX} && "
        f"mkdir -p {PREFIX}/etc/jupyter && ln -s {ENVIRONMENT}/{_SETTINGS} {PREFIX}/{_SETTINGS} || "
        f"{{ echo {shlex.quote(said)} >&2; exit 1; }}"
    )


def _origin(settings: PlanSettings) -> str:
    """A mirror's files have the names of another's, but needn't be the same."""
    addresses = [settings.mirrors.get(name) for name in _MIRRORS]
    return f"-{hashlib.sha256(repr(addresses).encode()).hexdigest()[:12]}" if any(addresses) else ""


def _variables() -> dict[str, str]:
    return {
        "PATH": path_with(PREFIX),
        "VIRTUAL_ENV": PREFIX,
        "NB_PYTHON_PREFIX": PREFIX,
        "KERNEL_PYTHON_PREFIX": PREFIX,
    }
