"""Files of an image that is in a registry, handed over by a builder, which has most of it: nothing of it is run."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from binder_build.images.archives import files_in
from binder_build.images.progress import clean
from binder_build.process import DeadlinePassed, follow
from binder_protocol.errors import EngineError

_SECONDS = 300.0
_MAX_ARCHIVE = 4 * 2**30
_MAX_WORDS = 65_536
_ABSENT = "no such file or directory", "not found"


@dataclass(frozen=True)
class RemoteFiles:
    """Those of `image`, named by digest; what is read of it is for a moment below `work`."""

    image: str
    builder: str
    work: Path
    environ: Mapping[str, str]
    buildx: Sequence[str] = ("docker", "buildx")

    def read(self, path: str, limit: int) -> bytes | None:
        """The file at `path`; None where there is none, or nothing of `limit` bytes."""
        return next((content for _, content in self.below(path, lambda _: True, limit)), None)

    def below(self, path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[tuple[str, bytes]]:
        """Name and contents of the `wanted` files at and below `path`, of at most `limit` bytes each."""
        with tempfile.TemporaryDirectory(prefix="files-", dir=self.work) as place:
            archive = Path(place) / "files.tar"
            if not self._handed_over(path, Path(place), archive):
                return
            try:
                with tarfile.open(archive, mode="r|") as files:
                    yield from files_in(files, wanted, limit)
            except tarfile.TarError as error:
                raise EngineError("the builder broke off while files of the image were read") from error

    def arguments(self, place: Path, archive: Path) -> list[str]:
        """What follows the words of the command."""
        words = ["build", "--builder", self.builder, "--progress=plain", "--file", str(place / "Dockerfile")]
        return [*words, "--output", f"type=tar,dest={archive}", "--", str(place / "empty")]

    def _handed_over(self, path: str, place: Path, archive: Path) -> bool:
        """Whether there is something at `path`; it is in the archive then, below its last name."""
        (place / "empty").mkdir()
        target = PurePosixPath("/", PurePosixPath(path).name)
        text = f"FROM {self.image} AS image\nFROM scratch\nCOPY --from=image {path} {target}\n"
        (place / "Dockerfile").write_text(text)
        said = bytearray()

        def hear(chunk: bytes) -> None:
            said.extend(chunk)
            del said[:-_MAX_WORDS]

        def watch() -> None:
            if archive.exists() and archive.stat().st_size > _MAX_ARCHIVE:
                raise EngineError("the image has too many files to be read")

        process = subprocess.Popen(
            [*self.buildx, *self.arguments(place, archive)],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            code = follow(process, seconds=_SECONDS, on_error=hear, watch=watch)
        except DeadlinePassed:
            raise EngineError("the builder doesn't hand over files of the image") from None
        words = [clean(line) for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        if code and words and words[-1].endswith(_ABSENT):
            return False
        if code:
            reason = words[-1] if words else "it does not say why"
            raise EngineError(f"the builder doesn't hand over files of the image: {reason}"[:500])
        return True
