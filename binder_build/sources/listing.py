"""What a commit holds, counted while git lists it, before any of it is written: a listing without end is cut short."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from binder_protocol.errors import InvalidRepository, SourceTooLarge

MAX_PATH, MAX_DEPTH = 1_000, 60


@dataclass(frozen=True, slots=True)
class Submodule:
    """A place in the tree where another repository's commit belongs."""

    path: str
    commit: str


class Listing:
    """Takes the output of `git ls-tree -r -z -l` piece by piece; `files`, `bytes` and `submodules` add up.

    `contents` says of each file by its path what git keeps for it, and `attributes` how it is written out.
    """

    def __init__(self, max_files: int, max_bytes: int) -> None:
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._rest = b""
        self.files = 0
        self.bytes = 0
        self.submodules: list[Submodule] = []
        self.contents: dict[str, bytes] = {}
        self.attributes = sha256()

    def feed(self, chunk: bytes) -> None:
        """Raises `SourceTooLarge` or `InvalidRepository` as soon as a limit is passed."""
        *entries, self._rest = (self._rest + chunk).split(b"\0")
        for entry in entries:
            self._add(entry)
        if len(self._rest) > MAX_PATH + 200:
            raise InvalidRepository(f"the repository holds a path of more than {MAX_PATH} bytes")

    def _add(self, entry: bytes) -> None:
        facts, _, path = entry.partition(b"\t")
        _, kind, commit, size = facts.split()
        if len(path) > MAX_PATH or path.count(b"/") > MAX_DEPTH:
            raise InvalidRepository(f"the repository holds a path of more than {MAX_PATH} bytes or {MAX_DEPTH} levels")
        if kind == b"commit":
            self.submodules.append(Submodule(path.decode("utf-8", "surrogateescape"), commit.decode()))
        else:
            self.contents[path.decode("utf-8", "surrogateescape")] = bytes.fromhex(commit.decode())
        if path.endswith(b".gitattributes"):
            self.attributes.update(entry)
        self.files += 1
        self.bytes += int(size) if size != b"-" else 0
        if self.files > self._max_files:
            raise SourceTooLarge(f"the repository holds more files than this service takes ({self._max_files})")
        if self.bytes > self._max_bytes:
            raise SourceTooLarge(f"the repository's files are larger than {self._max_bytes // 1024**2} MiB")
