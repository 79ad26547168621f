"""default.nix: its shell is built once, with Debian's Nix, and every command of the container runs inside it.

The store belongs to the user: packages can be added at run time, and no daemon is needed.
"""

from __future__ import annotations

import re
import shlex

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.recipe import LIBEXEC, NB_UID, Base, Copy, Kind, PlanSettings, Run

VERSION = "2.26"  # of Debian 13
NIXPKGS = "channel:nixos-25.05"
SHELL = "/nix/binder-shell.drv"

_START = "/opt/binder/bin/start"
_INNER_START = f"{LIBEXEC}/start"
# A build step has no privileges for a sandbox of its own; it runs in one anyway.
_CONFIGURATION = ("sandbox = false", "build-users-group =")
_WRAPPER = (
    "#!/bin/bash",
    "# Entry point: the command, by way of the repository's own start script, inside the shell of default.nix.",
    f"printf -v command '%q ' {_INNER_START} \"$@\"",
    f'exec nix-shell "$(readlink {SHELL})" --run "exec $command"',
)
# Each of these ends at the end of the text at the latest, so that no text makes the search slow.
_NO_PATH = re.compile(
    r"""
    "(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)                # a string
    | ''(?:[^']|'(?!')|''[$\\'])*(?:''|\Z)        # one of several lines
    | \#[^\n]* | /\*.*?(?:\*/|\Z)                  # comments
    | <[\w./+-]{1,200}>                             # a name of the search path
    """,
    re.S | re.X,
)


class Nix:
    """default.nix decides alone; Jupyter is the base's where the shell brings none."""

    name = "nix"

    def detect(self, folder: Folder) -> Detection | None:
        path = folder.find("default.nix")
        return Detection(f"{path} describes a Nix shell", (path,)) if path else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        path = folder.find("default.nix")
        assert path is not None
        build = _build(path)
        alone = needs_nothing_else(folder.tree.text(path))
        copy = Copy(Kind.DEPENDENCIES, f"copy {path}", (path,))
        step = Run(Kind.DEPENDENCIES if alone else Kind.PROJECT, f"build the shell of {path}", build)
        return Parts(
            packages=("nix-bin",),
            before=(_setup(), *((copy, step) if alone else ())),
            after=() if alone else (step,),
            variables={
                "NIX_PATH": f"nixpkgs={NIXPKGS}",
                "NIX_SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
                "NIX_BUILD_SHELL": "/bin/bash",
            },
            versions={"nix": VERSION},
        )


def needs_nothing_else(text: str) -> bool:
    """Whether no path is in the expression: a slash outside of strings and comments may be one.

    Where an expression is put into a string, this can't tell, and the answer is no.
    """
    return "${" not in text and "/" not in _NO_PATH.sub("", text)


def _setup() -> Run:
    """Writes as root what the user's Nix needs, and puts the shell between the entry point and its command."""
    command = (
        f"install -d -o {NB_UID} -g {NB_UID} /nix /nix/store /nix/var /nix/var/nix && install -d /etc/nix"
        f" && printf '%s\\n' {_words(_CONFIGURATION)} >/etc/nix/nix.conf"
        f" && mv {_START} {_INNER_START} && printf '%s\\n' {_words(_WRAPPER)} >{_START} && chmod 755 {_START}"
    )
    return Run(Kind.SYSTEM, "set up Nix", command, root=True)


def _words(lines: tuple[str, ...]) -> str:
    return " ".join(map(shlex.quote, lines))


def _build(path: str) -> str:
    """Evaluates once, so that no start of a container has to, and builds what the shell consists of."""
    evaluate = f"IN_NIX_SHELL=impure nix-instantiate --arg inNixShell true --indirect --add-root {SHELL} ./{path}"
    return f'{evaluate} && nix-shell "$(readlink {SHELL})" --run true && rm -rf "$HOME/.cache/nix"'
