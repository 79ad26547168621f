"""A checked-out repository, read with care: nothing outside it, nothing special, nothing without bounds."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from binder_protocol.errors import InvalidRepository

MAX_READ = 1_000_000
_MAX_HASHED = 64_000_000
# What a system lacks it doesn't need: Windows has no links that `open` follows without a look, no pipes in directories.
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_READING = os.O_RDONLY | sum(getattr(os, name, 0) for name in _FLAGS)


class Tree:
    """The files below `root`, or below its subdirectory `subdir`, by relative paths with `/`."""

    def __init__(self, root: Path, subdir: str | None = None) -> None:
        """Raises `InvalidRepository` where there is no such subdirectory."""
        top = root.resolve(strict=True)
        self.root = (top / subdir).resolve() if subdir else top
        if not self.root.is_relative_to(top) or not self.root.is_dir():
            raise InvalidRepository(
                f"the repository has no directory {subdir}", suggestions=("name a directory of this ref, or none",)
            )

    def has(self, path: str) -> bool:
        """Whether there is a file, directory or link of this name, wherever it leads."""
        return os.path.lexists(self.root / path)

    def is_directory(self, path: str) -> bool:
        """Whether `path` is a directory inside the tree."""
        place = self._place(path)
        return place is not None and place.is_dir()

    def is_file(self, path: str) -> bool:
        """Whether `path` is a regular file inside the tree."""
        place = self._place(path)
        return place is not None and place.is_file()

    def real(self, path: str) -> str:
        """Where `path`, which must be inside the tree, is when links are followed; the root is empty."""
        return "/".join(self._found(path).relative_to(self.root).parts)

    def names(self, directory: str = ".") -> list[str]:
        """The names in a directory, sorted; empty where there is none."""
        place = self._place(directory)
        if place is None or not place.is_dir():
            return []
        try:
            return sorted(entry.name for entry in place.iterdir() if entry.name.lower() != ".git")
        except OSError:  # one that may not be read
            return []

    def sizes(self, limit: int) -> Iterator[tuple[str, int]]:
        """Paths and sizes of regular files, those next to the top first, among the first `limit` entries.

        Links are not followed; a directory that may not be read is passed over.
        """
        waiting, seen = deque([""]), 0
        while waiting:
            directory = waiting.popleft()
            with suppress(OSError), os.scandir(self.root / directory) as entries:
                for entry in entries:
                    seen += 1
                    if seen > limit:
                        return
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [] if entry.name.lower() == ".git" else [f"{directory}{entry.name}/"]
                    elif entry.is_file(follow_symlinks=False):
                        yield f"{directory}{entry.name}", entry.stat(follow_symlinks=False).st_size

    def text(self, path: str, limit: int = MAX_READ) -> str:
        """The text of a file that decides the build: at most `limit` bytes of UTF-8, or UTF-16 with its mark.

        Its lines end in `\\n`. Raises `InvalidRepository` for others: links out of the tree, devices, other encodings.
        """
        data = self.data(path, limit)
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            raise InvalidRepository(f"{path} is not UTF-8 text", suggestions=(f"save {path} as UTF-8",)) from None
        if "\0" in text:
            raise InvalidRepository(f"{path} is not a text file", suggestions=(f"save {path} as UTF-8 text",))
        return text.replace("\r\n", "\n")

    def data(self, path: str, limit: int = MAX_READ) -> bytes:
        """The file's bytes, at most `limit`. Raises `InvalidRepository` where `text` would, but for its contents."""
        return _read(self._found(path), path, limit)

    def digest(self, path: str) -> str:
        """A hash of the file's contents. Raises as `data`."""
        return hashlib.sha256(self.data(path, _MAX_HASHED)).hexdigest()

    def is_executable(self, path: str) -> bool:
        """Whether `path` is a file that may be run; where files have no such mark, every one may."""
        place = self._place(path)
        return place is not None and os.access(place, os.X_OK)

    def _found(self, path: str) -> Path:
        place = self._place(path)
        if place is None:
            reason = "leads out of the repository" if self.has(path) else "is not there"
            raise InvalidRepository(f"{path} {reason}", suggestions=(f"put a plain file at {path}",))
        return place

    def _place(self, path: str) -> Path | None:
        """Where `path` really is; None where that is outside the tree, in `.git`, or nowhere."""
        try:
            place = (self.root / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        if not place.is_relative_to(self.root):
            return None
        return None if any(part.lower() == ".git" for part in place.relative_to(self.root).parts) else place


def _read(place: Path, path: str, limit: int) -> bytes:
    try:
        descriptor = os.open(place, _READING)
    except OSError as error:
        reason = error.strerror or "no reason is given"
        raise InvalidRepository(
            f"{path} can't be read: {reason}", suggestions=(f"put a plain file at {path}",)
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidRepository(f"{path} is not a regular file", suggestions=(f"put a plain file at {path}",))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened so that a pipe can't block
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidRepository(f"{path} is larger than {limit // 1_000_000} MB", suggestions=(f"make {path} smaller",))
    return data
