"""R of Debian with packages of one day's CRAN: runtime.txt names the day, install.R and DESCRIPTION the packages.

What Python needs is installed, too, and before: code of R packages must not run ahead of a step with a shared cache.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
from dataclasses import dataclass

from binder_plan.buildpacks.folder import Detection, Folder, Parts, joined
from binder_plan.buildpacks.python import Python
from binder_plan.dcf import parse_dcf
from binder_plan.recipe import NB_UID, Base, Copy, Kind, PlanSettings, Run, Step
from binder_protocol.errors import InvalidRepository

VERSION = "4.5"  # of Debian 13
MIRROR = "https://packagemanager.posit.co/cran/__linux__/trixie"
LIBRARY = "/opt/binder/r-library"
FIRST_DAY = datetime.date(2017, 10, 10)  # of the default mirror
# Compilers and the headers that most packages with compiled code want; few snapshots have binaries of this R.
PACKAGES = (
    "r-base-core",
    "r-base-dev",
    "r-cran-irkernel",
    "r-cran-remotes",
    "libcurl4-openssl-dev",
    "libssl-dev",
    "libxml2-dev",
)

_RUNTIME = re.compile(r"r-(?:(?P<version>\d{1,2}(?:\.\d{1,2}){0,2})-)?(?P<day>\d{4}-\d{2}-\d{2})", re.ASCII)
_LITERAL = re.compile(r"\"([^\"\\\n]{1,200})\"|'([^'\\\n]{1,200})'")
_OMITTED = "RStudio and Shiny Server are not in the image: Debian doesn't have them"
# A mirror sends binary packages only to an R that says which one it is.
_PROFILE = """\
local({{
  about <- paste(getRversion(), R.version$platform, R.version$arch, R.version$os)
  options(repos = c(CRAN = {mirror}), HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(), about))
}})
"""
# R only warns of what it could not install.
_STRICT = (
    "options(Ncpus = parallel::detectCores()); withCallingHandlers({what}, warning = function(w) "
    'if (grepl("packages? .*(is|are) not available|non-zero exit status|one or more packages failed", '
    "conditionMessage(w))) stop(conditionMessage(w), call. = FALSE))"
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runtime.txt asks for: a version of R, if any, and the day whose CRAN is used."""

    version: str | None
    day: str


def parse_runtime(text: str, path: str = "runtime.txt") -> Runtime | None:
    """None where it is about another language. Raises `InvalidRepository` for a version or day that can't be."""
    text = text.strip()
    if not text.startswith("r-"):
        return None
    found = _RUNTIME.fullmatch(text)
    try:
        day = datetime.date.fromisoformat(found["day"]) if found else None
    except ValueError:
        day = None
    if found is None or day is None:
        raise InvalidRepository(
            f"{path}: this names no version of R and day", suggestions=("write r-4.5-2025-06-30 or r-2025-06-30",)
        )
    if day < FIRST_DAY:
        raise InvalidRepository(
            f"{path}: there is no snapshot of CRAN of {day}", suggestions=(f"choose {FIRST_DAY} or a later day",)
        )
    return Runtime(found["version"], day.isoformat())


class R:
    """runtime.txt with a day of CRAN's, install.R, or the root's DESCRIPTION of an R package."""

    name = "r"

    def detect(self, folder: Folder) -> Detection | None:
        runtime = folder.find("runtime.txt") if _runtime(folder) else None
        install, description = folder.find("install.R"), _description(folder)
        named = [
            (runtime, "names a version of R"),
            (install, "installs R packages"),
            (description, "describes an R package"),
        ]
        reasons = [f"{path} {what}" for path, what in named if path]
        if not reasons:
            return None
        python = Python().detect(folder)
        files = tuple(path for path, _ in named if path)
        return Detection(reasons[0], (*files, *(python.files if python else ())))

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        python = Python()
        runtime = _runtime(folder)
        day = runtime.day if runtime else settings.as_of or "latest"
        environment = Parts(
            packages=(*PACKAGES, *_more_packages(folder)),
            before=(_setup(f"{settings.mirrors.get('cran', MIRROR)}/{day}"),),
            variables={"R_LIBS_USER": LIBRARY},
            versions={"r": VERSION, "cran": day},
            warnings=(*_other_version(runtime), _OMITTED),
        )
        of_python = python.render(folder, base, settings) if python.detect(folder) else Parts()
        return joined(environment, of_python, _packages(folder))


def _runtime(folder: Folder) -> Runtime | None:
    path = folder.find("runtime.txt")
    return parse_runtime(folder.tree.text(path), path) if path else None


def _description(folder: Folder) -> str | None:
    """The root's DESCRIPTION, where it is of a package: others give their files this name, too."""
    path = folder.find("DESCRIPTION") if folder.is_root else None
    if path is None or not re.search(r"^Package:", folder.tree.text(path), re.M):
        return None
    return path if parse_dcf(folder.tree.text(path), path).get("Package") else None


def _other_version(runtime: Runtime | None) -> tuple[str, ...]:
    wanted = runtime.version if runtime else None
    if wanted is None or f"{wanted}.".startswith(f"{VERSION}."):
        return ()
    return (f"R {wanted} is not to be had: R {VERSION} of Debian 13 runs the packages of that day",)


def _more_packages(folder: Folder) -> tuple[str, ...]:
    """devtools is in every R image of other builders, but it is large."""
    install = folder.find("install.R")
    return ("r-cran-devtools",) if install and "devtools" in folder.tree.text(install) else ()


def _setup(mirror: str) -> Run:
    """The library that the user writes to, and where packages come from whenever this R asks for some."""
    profile = _PROFILE.format(mirror=json.dumps(mirror))
    quoted = " ".join(shlex.quote(line) for line in profile.splitlines())
    command = f"install -d -o {NB_UID} -g {NB_UID} {LIBRARY} && printf '%s\\n' {quoted} >>/etc/R/Rprofile.site"
    return Run(Kind.SYSTEM, "set up R", command, root=True)


def _packages(folder: Folder) -> Parts:
    before: list[Step] = []
    after: list[Step] = []
    install = folder.find("install.R")
    if install:
        run = f"Rscript -e {shlex.quote(_STRICT.format(what='source(commandArgs(TRUE)[1])'))} {install}"
        if _needs_more(folder, install):
            after.append(Run(Kind.PROJECT, f"run {install}", run))
        else:
            before += [
                Copy(Kind.DEPENDENCIES, f"copy {install}", (install,)),
                Run(Kind.DEPENDENCIES, f"run {install}", run),
            ]
    if _description(folder):
        what = _STRICT.format(what='remotes::install_deps(".", upgrade = "never")')
        before += [
            Copy(Kind.DEPENDENCIES, "copy DESCRIPTION", ("DESCRIPTION",)),
            Run(Kind.DEPENDENCIES, "install what DESCRIPTION names", f"Rscript -e {shlex.quote(what)}"),
        ]
        command = f"R CMD INSTALL --clean --library={LIBRARY} ."
        after.append(Run(Kind.PROJECT, "install the R package", command))
    return Parts(before=tuple(before), after=tuple(after))


def _needs_more(folder: Folder, install: str) -> bool:
    """Whether a text in install.R is the path of something in the repository: a file to source, a package here."""
    named = {double or single for double, single in _LITERAL.findall(folder.tree.text(install))}
    return any(folder.tree.is_file(path) or folder.tree.is_directory(path) for path in named)
