"""Steps by which uv installs Python packages: what is shared between repositories, and what must not be.

Packages that have wheels are installed from a cache that all builds share, so the second repository that wants one
downloads nothing. Unpacking a wheel runs nothing of it. What runs code of a package or of the repository has a cache
of that repository's own, or none: the building of a package from its sources, and Python itself, which at its start
runs what `.pth` files of the installed packages say.
"""

from __future__ import annotations

from binder_plan.recipe import ENVIRONMENT, LIBEXEC, Cache, Kind, PlanSettings, Run

CACHE = "/tmp/uv-cache"  # noqa: S108 - a path in the image
_INSTALL = "uv pip install --no-progress --color never"
_TARGET = "/tmp/ahead"  # noqa: S108


def wheels_only(settings: PlanSettings) -> bool:
    """Whether dependencies are installed from wheels alone."""
    return settings.buildkit and not settings.sources


def install_dependencies(
    settings: PlanSettings, title: str, arguments: str, prefix: str = ENVIRONMENT
) -> tuple[Run, ...]:
    """The steps that install what is listed, into the Python environment at `prefix`, and make it ready."""
    if wheels_only(settings):
        shared = f"{_environment(settings)} UV_COMPILE_BYTECODE=0 {_INSTALL} --no-build"
        command = f"{shared} --python {prefix} {arguments}"
        first = Run(Kind.DEPENDENCIES, title, command, caches=(Cache("binder-wheels", CACHE),))
        return first, Run(Kind.DEPENDENCIES, "compile bytecode, note versions", finish(prefix))
    command = f"{_scoped(settings, prefix)} {arguments} && {finish(prefix)}"
    return (Run(Kind.DEPENDENCIES, title, command, caches=(_own_cache(settings),)),)


def download_dependencies(settings: PlanSettings, title: str, arguments: str) -> Run:
    """The step that brings the same wheels into the shared cache ahead of their installation. It never fails."""
    command = (
        f"{_environment(settings)} UV_COMPILE_BYTECODE=0 UV_LINK_MODE=symlink "
        f"{_INSTALL} --quiet --no-build --python {ENVIRONMENT} --target {_TARGET} {arguments} 2>/dev/null || true"
    )
    return Run(Kind.DEPENDENCIES, f"download for: {title}", command, caches=(Cache("binder-wheels", CACHE),))


def install_project(settings: PlanSettings, title: str, arguments: str, prefix: str = ENVIRONMENT) -> Run:
    """The step that installs what needs the whole repository."""
    command = f"{_scoped(settings, prefix)} {arguments} && {finish(prefix)}"
    return Run(Kind.PROJECT, title, command, caches=(_own_cache(settings),))


def finish(prefix: str) -> str:
    """Compiles the bytecode that is missing, and writes down which versions are there."""
    return f"{prefix}/bin/python {LIBEXEC}/finish.py {prefix}"


def _scoped(settings: PlanSettings, prefix: str) -> str:
    environment = _environment(settings) if settings.buildkit else "UV_NO_CACHE=1"
    return f"{environment} UV_COMPILE_BYTECODE=0 {_INSTALL} --python {prefix}"


def _environment(settings: PlanSettings) -> str:
    newest = f" UV_EXCLUDE_NEWER={settings.as_of}" if settings.as_of else ""
    return f"UV_CACHE_DIR={CACHE}{newest}"


def _own_cache(settings: PlanSettings) -> Cache:
    return Cache(f"binder-uv-{settings.cache_scope}", CACHE)


def install_into(settings: PlanSettings, title: str, requirement: str, directory: str, then: str) -> Run:
    """The step that unpacks wheels into a directory of their own; nothing of them runs."""
    environment = _environment(settings) if settings.buildkit else "UV_NO_CACHE=1"
    install = f"{environment} UV_COMPILE_BYTECODE=0 {_INSTALL} --no-build --python {ENVIRONMENT}"
    command = f"{install} --target {directory} {requirement} && {then}"
    return Run(Kind.DEPENDENCIES, title, command, caches=(Cache("binder-wheels", CACHE),))
