"""apt.txt: names of Debian packages, any number in a line, with comments."""

from __future__ import annotations

import re

from binder_plan.recipe import Cache, Kind, PlanSettings, Run
from binder_protocol.errors import InvalidRepository

MAX_PACKAGES = 500
# A name, maybe with an architecture and a version. One that ends in a hyphen would tell apt to remove the package.
_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+.](?::[a-z0-9-]{2,20})?(?:=[A-Za-z0-9][A-Za-z0-9.+:~-]{0,98})?"
)


def parse_apt(text: str, path: str = "apt.txt") -> tuple[str, ...]:
    """The packages in their order, each once. Raises `InvalidRepository` that names the line."""
    packages: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for word in line.partition("#")[0].split():
            if not _PACKAGE.fullmatch(word):
                raise InvalidRepository(
                    f"{path}, line {number}: this is no name of a Debian package",
                    suggestions=("one package in a line, such as graphviz or git=1:2.47.3-0+deb13u1; no options",),
                )
            packages[word] = None
    if len(packages) > MAX_PACKAGES:
        raise InvalidRepository(f"{path} names more than {MAX_PACKAGES} packages")
    return tuple(packages)


def apt_step(packages: tuple[str, ...], settings: PlanSettings) -> Run:
    """The step that installs `packages`. Its caches may be shared by all builds: only Debian's own files get there."""
    install = "apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- " + " ".join(packages)
    command = f"export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && {install}"
    caches = (
        Cache("binder-apt-archives", "/var/cache/apt", root=True),
        Cache("binder-apt-lists", "/var/lib/apt/lists", root=True),
    )
    if not settings.buildkit:
        command += " && rm -rf /var/lib/apt/lists/* /var/cache/apt/*"
    return Run(Kind.SYSTEM, "install Debian packages", command, root=True, caches=caches)
