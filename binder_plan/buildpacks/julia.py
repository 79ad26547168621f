"""Project.toml: a Julia of its own from Julia's download server, the project's packages, and IJulia as a kernel.

What Python needs is installed, too, and before: code of Julia packages must not run ahead of a step with a shared
cache. Julia itself comes first of all, as its download is shared.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from typing import Any

from binder_plan.buildpacks.folder import Detection, Folder, Parts, joined
from binder_plan.buildpacks.python import Python
from binder_plan.julia_versions import newest_of, of_manifest
from binder_plan.recipe import ENVIRONMENT, NB_UID, REPO_DIR, Base, Cache, Copy, Kind, PlanSettings, Run, Step
from binder_protocol.errors import InvalidRepository

MIRROR = "https://julialang-s3.julialang.org"
DEPOT = "/opt/binder/julia-depot"

_CACHE = "/tmp/binder-julia"  # noqa: S108 - a path in the image
_MANIFEST = re.compile(r"(?:Julia)?Manifest(?:-v1\.\d{1,3})?\.toml", re.ASCII)
_PATH = re.compile(r"\bpath\s*=")
# The checksum names the file in the cache, so that none is taken for another, whatever the mirror.
_INSTALL = (
    "machine=$(uname -m); place=$machine; if [ $machine = x86_64 ]; then place=x64; fi",
    "file=julia-{version}-linux-$machine.tar.gz",
    'sum=$(curl -fsSL --retry 2 {mirror}/bin/checksums/julia-{version}.sha256 | grep " $file$" | cut -c 1-64)',
    'if [ ${{#sum}} != 64 ]; then echo "there is no $file"; exit 1; fi',
    "mkdir -p {cache}; kept={cache}/$sum",
    "if [ ! -s $kept ]; then curl -fsSL --retry 2 -o $kept.part {mirror}/bin/linux/$place/{minor}/$file; "
    "mv $kept.part $kept; fi",
    'if ! echo "$sum  $kept" | sha256sum --check --status; then rm $kept; echo "$file: wrong checksum"; exit 1; fi',
    "install -d -o {uid} -g {uid} {depot}; mkdir /opt/julia",
    "tar -xz --no-same-owner --strip-components=1 -C /opt/julia -f $kept",
    "ln -s /opt/julia/bin/julia /usr/local/bin/julia",
)


class Julia:
    """JuliaProject.toml before Project.toml, with the manifest beside it."""

    name = "julia"

    def detect(self, folder: Folder) -> Detection | None:
        project = _project(folder)
        if project is None:
            return None
        python = Python().detect(folder)
        files = (project, *_manifests(folder), *(python.files if python else ()))
        return Detection(f"{project} describes a Julia project", files)

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        project = _project(folder)
        assert project is not None
        version = _version(folder, project)
        python = Python()
        of_python = python.render(folder, base, settings) if python.detect(folder) else Parts()
        directory = posixpath.join(REPO_DIR, folder.path).rstrip("/")
        environment = Parts(
            before=(_install(version, settings),),
            variables={"JULIA_DEPOT_PATH": DEPOT, "JULIA_PROJECT": directory},
            versions={"julia": version},
        )
        return joined(environment, of_python, _packages(folder, project, directory))


class JuliaRequire:
    """The list of packages that Julia read before its version 0.7; with a Project.toml it has no effect."""

    name = "julia-require"

    def detect(self, folder: Folder) -> Detection | None:
        path = folder.find("REQUIRE")
        return Detection(f"{path} names packages of Julia 0.6", (path,)) if path else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        raise InvalidRepository(
            f"{folder.find('REQUIRE')} is for Julia 0.6, which is not supported",
            suggestions=("name the packages in a Project.toml: julia --project=. -e 'using Pkg; Pkg.add(\"…\")'",),
        )


def _project(folder: Folder) -> str | None:
    return folder.find("JuliaProject.toml") or folder.find("Project.toml")


def _manifests(folder: Folder) -> tuple[str, ...]:
    names = [name for name in folder.tree.names(folder.path or ".") if _MANIFEST.fullmatch(name)]
    return tuple(path for name in names if (path := folder.find(name)))


def _version(folder: Folder, project: str) -> str:
    """That which made the manifest, else the newest that the project allows."""
    for name in ("JuliaManifest.toml", "Manifest.toml"):
        path = folder.find(name)
        stated = _toml(folder, path).get("julia_version") if path else None
        if path and isinstance(stated, str):
            return of_manifest(stated, path)
    compat = _toml(folder, project).get("compat")
    wanted = compat.get("julia") if isinstance(compat, dict) else None
    return newest_of(wanted if isinstance(wanted, str) else None, project)


def _install(version: str, settings: PlanSettings) -> Run:
    command = "; ".join(("set -e", *_INSTALL)).format(
        version=version,
        minor=version.rpartition(".")[0],
        mirror=shlex.quote(settings.mirrors.get("julia", MIRROR)),
        cache=_CACHE,
        depot=DEPOT,
        uid=NB_UID,
    )
    if not settings.buildkit:
        command += f"; rm -r {_CACHE}"
    cache = Cache("binder-julia", _CACHE, root=True)
    return Run(Kind.SYSTEM, f"install Julia {version}", command, root=True, caches=(cache,))


def _packages(folder: Folder, project: str, directory: str) -> Parts:
    """IJulia goes to an environment of its own, so that it is no part of the project."""
    kernel = f'using Pkg; Pkg.add("IJulia"); using IJulia; installkernel("Julia", "--project={directory}")'
    jupyter = f"JUPYTER={ENVIRONMENT}/bin/jupyter JUPYTER_DATA_DIR={ENVIRONMENT}/share/jupyter"
    steps: list[Step] = [
        Run(Kind.DEPENDENCIES, "install IJulia", f"env -u JULIA_PROJECT {jupyter} julia -e {shlex.quote(kernel)}")
    ]
    files = (project, *_manifests(folder))
    whole = "name" in _toml(folder, project) or any(_PATH.search(folder.tree.text(path)) for path in files)
    instantiate = "julia -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'"
    title = f"install what {project} names"
    if whole:
        return Parts(before=tuple(steps), after=(Run(Kind.PROJECT, title, instantiate),))
    copy = Copy(Kind.DEPENDENCIES, f"copy {', '.join(files)}", files)
    return Parts(before=(*steps, copy, Run(Kind.DEPENDENCIES, title, instantiate)))


def _toml(folder: Folder, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(folder.tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None
