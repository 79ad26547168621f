"""Steps by which uv installs Python packages: what is shared between repositories, and what must not be.

Packages that have wheels are installed from a cache that all builds share, so the second repository that wants one
downloads nothing. Unpacking a wheel runs nothing of it. What runs code of a package or of the repository has a cache
of that repository's own, or none: the building of a package from its sources, and Python itself, which at its start
runs what `.pth` files of the installed packages say.

Where the shared cache is mounted, uv reads no settings of the repository: `[tool.uv]` could name a program to run
(`keyring-provider`), or packages to build in spite of the flags. What of it is harmless becomes arguments.
"""

from __future__ import annotations

from binder_plan.recipe import ENVIRONMENT, LIBEXEC, Cache, Kind, PlanSettings, Run

CACHE = "/tmp/uv-cache"  # noqa: S108 - a path in the image
# By its path: PATH begins with a directory of the repository.
UV = "/usr/local/bin/uv"
_INSTALL = f"{UV} pip install --no-progress --color never"
_TARGET = "/tmp/ahead"  # noqa: S108
_EXPORTED = "/tmp/uv-exported.txt"  # noqa: S108


def wheels_only(settings: PlanSettings) -> bool:
    """Whether dependencies are installed from wheels alone."""
    return settings.buildkit and not settings.sources


def install_dependencies(
    settings: PlanSettings, title: str, arguments: str, prefix: str = ENVIRONMENT, *, export: str = ""
) -> tuple[Run, ...]:
    """The steps that install what is listed, into the Python environment at `prefix`, and make it ready.

    `export`: arguments of `uv export`, whose output is installed, too.
    """
    if wheels_only(settings):
        command = _installing(_shared(settings), f"--no-build --python {prefix} {arguments}".strip(), export)
        first = Run(Kind.DEPENDENCIES, title, command, caches=(_wheels(settings),))
        return first, Run(Kind.DEPENDENCIES, "compile bytecode, note versions", finish(prefix), alone=True)
    command = f"{_installing(_scoped(settings), f'--python {prefix} {arguments}', export)} && {finish(prefix)}"
    return (Run(Kind.DEPENDENCIES, title, command, caches=(_own_cache(settings),)),)


def download_dependencies(
    settings: PlanSettings, title: str, arguments: str, prefix: str = ENVIRONMENT, *, export: str = ""
) -> Run:
    """The step that brings the same wheels into the shared cache ahead of their installation. It never fails."""
    command = _installing(
        f"{_shared(settings)} UV_LINK_MODE=symlink",
        f"--quiet --no-build --python {prefix} --target {_TARGET} {arguments} 2>/dev/null || true",
        export,
    )
    return Run(Kind.DEPENDENCIES, f"download for: {title}", command, caches=(_wheels(settings),))


def install_project(
    settings: PlanSettings, title: str, arguments: str, prefix: str = ENVIRONMENT, *, export: str = ""
) -> Run:
    """The step that installs what needs the whole repository."""
    command = f"{_installing(_scoped(settings), f'--python {prefix} {arguments}', export)} && {finish(prefix)}"
    return Run(Kind.PROJECT, title, command, caches=(_own_cache(settings),))


def install_into(settings: PlanSettings, title: str, requirement: str, directory: str, then: str) -> Run:
    """The step that unpacks wheels into a directory of their own; nothing of them runs."""
    variables = _shared(settings) if settings.buildkit else _scoped(settings)
    command = f"{variables} {_INSTALL} --no-build --python {ENVIRONMENT} --target {directory} {requirement} && {then}"
    return Run(Kind.DEPENDENCIES, title, command, caches=(_wheels(settings),))


def finish(prefix: str) -> str:
    """Compiles the bytecode that is missing, and writes down which versions are there."""
    return f"{prefix}/bin/python {LIBEXEC}/finish.py {prefix}"


def environment(settings: PlanSettings) -> str:
    """The variables of a uv that reads no settings of the repository: only those of this host's network."""
    return "UV_CONFIG_FILE=/etc/uv/uv.toml" if settings.buildkit and settings.configured else "UV_NO_CONFIG=1"


def _installing(variables: str, arguments: str, export: str) -> str:
    if not export:
        return f"{variables} {_INSTALL} {arguments}"
    exported = f"{variables} {UV} export --quiet {export} --output-file {_EXPORTED}"
    return f"{exported} && {variables} {_INSTALL} --requirement {_EXPORTED} {arguments.strip()} && rm -f {_EXPORTED}"


def _shared(settings: PlanSettings) -> str:
    return f"UV_CACHE_DIR={CACHE}{_newest(settings)} {environment(settings)} UV_COMPILE_BYTECODE=0"


def _scoped(settings: PlanSettings) -> str:
    cache = f"UV_CACHE_DIR={CACHE}" if settings.buildkit else "UV_NO_CACHE=1"
    return f"{cache}{_newest(settings)} UV_COMPILE_BYTECODE=0"


def _newest(settings: PlanSettings) -> str:
    return f" UV_EXCLUDE_NEWER={settings.as_of}" if settings.as_of else ""


def _wheels(settings: PlanSettings) -> Cache:
    """The cache that all builds share, but for those that see packages which not everybody may have."""
    return Cache(f"binder-wheels-{settings.cache_scope}" if settings.private else "binder-wheels", CACHE)


def _own_cache(settings: PlanSettings) -> Cache:
    return Cache(f"binder-uv-{settings.cache_scope}", CACHE)
