"""`postBuild` and `start`: run whatever way they were committed, or refused with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from binder_plan.buildpacks.folder import Folder
from binder_plan.recipe import Kind, Run
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

COMMON = ("apt.txt", "postBuild", "start")
_BOM = b"\xef\xbb\xbf"
_SHELL = re.compile(rb"#![^\n]*\b(?:ba|da|k|z)?sh\b")
# `sed` would else put a plain file in the place of a link.
_UNIX = r"LC_ALL=C sed --in-place --follow-symlinks -e '1s/^\xEF\xBB\xBF//' -e 's/\r$//' "


@dataclass(frozen=True, slots=True)
class Script:
    """A script as its bytes and its mode say how it is run."""

    path: str
    text: bytes
    executable: bool

    @classmethod
    def read(cls, tree: Tree, path: str) -> Script:
        """Raises `InvalidRepository` for what can't be run: a link out of the repository, another encoding."""
        data = tree.data(path)
        if b"\0" in data and not data.startswith(b"\x7fELF"):
            raise InvalidRepository(f"{path} is not a text file", suggestions=(f"save {path} as UTF-8 text",))
        return cls(path, data, tree.is_executable(path))

    @property
    def is_empty(self) -> bool:
        return not self.text.strip()

    @property
    def from_windows(self) -> bool:
        """Whether the kernel would look for an interpreter of another name than the one that is meant."""
        return b"\0" not in self.text and (b"\r\n" in self.text or self.text.startswith(_BOM))

    @property
    def has_interpreter(self) -> bool:
        return self.text.removeprefix(_BOM).startswith((b"#!", b"\x7fELF"))

    @property
    def is_shell(self) -> bool:
        return not self.has_interpreter or _SHELL.match(self.text.removeprefix(_BOM)) is not None

    @property
    def takes_over(self) -> bool:
        """Whether it is a shell's, and doesn't run the command that it is given."""
        return self.is_shell and re.search(rb"\$[@*]|\$\{[@*]", self.text) is None

    @property
    def repair(self) -> str:
        """The start of a command that needs it with Unix line ends."""
        return f"{_UNIX}{self.path} && " if self.from_windows else ""

    def warnings(self) -> list[str]:
        found = (
            [f"{self.path} has Windows line ends or a mark in front; they are taken away"] if self.from_windows else []
        )
        if not self.has_interpreter:
            found.append(f"{self.path} has no first line such as #!/bin/bash: bash runs it")
        return found


@dataclass(frozen=True, slots=True)
class Scripts:
    """The steps of `postBuild` and `start`, after everything else, and what there is to say of them.

    `replaces_jupyter`: what `start` starts is no Jupyter server, and checks no token.
    """

    steps: tuple[Run, ...] = ()
    warnings: tuple[str, ...] = ()
    replaces_jupyter: bool = False


def find_common(folder: Folder, name: str) -> str | None:
    """The path of apt.txt, postBuild or start. A directory of that name is refused where build files alone belong."""
    if not folder.is_root and folder.tree.is_directory(f"{folder.path}/{name}"):
        path = f"{folder.path}/{name}"
        raise InvalidRepository(f"{path} is a directory", suggestions=(f"put a plain file at {path}",))
    return folder.find(name)


def read_scripts(folder: Folder) -> Scripts:
    """Raises `InvalidRepository` where one of the scripts can't be run."""
    steps: list[Run] = []
    warnings: list[str] = []
    replaces = False
    if path := find_common(folder, "start"):
        start = Script.read(folder.tree, path)
        steps += _start(start)
        warnings += start.warnings()
        if start.takes_over:
            replaces = b"jupyter" not in start.text
            warnings.append(f'{path} doesn\'t end with exec "$@": what it starts takes the place of JupyterLab')
    if path := find_common(folder, "postBuild"):
        post_build = Script.read(folder.tree, path)
        if post_build.is_empty:
            warnings.append(f"{path} is empty")
        else:
            steps.append(_post_build(post_build))
            warnings += post_build.warnings()
    return Scripts(tuple(steps), tuple(warnings), replaces)


def _start(script: Script) -> list[Run]:
    """The base image's entry point runs it; here it is made to be as that expects."""
    path = script.path
    if script.is_empty:
        raise InvalidRepository(
            f"{path} is empty: nothing would be started", suggestions=(f'end {path} with: exec "$@"', f"remove {path}")
        )
    if not script.from_windows and (script.executable or not script.has_interpreter):
        return []
    return [Run(Kind.CONTENTS, f"prepare {path}", f"{script.repair}chmod +x {path}")]


def _post_build(script: Script) -> Run:
    path = script.path
    run = f"chmod +x {path} && ./{path}" if script.has_interpreter else f"/bin/bash ./{path}"
    return Run(Kind.POST_BUILD, f"run {path}", f"{script.repair}{run}")
