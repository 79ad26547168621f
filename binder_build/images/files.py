"""Files of an image, read without running anything of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from docker.errors import ImageNotFound, NotFound

from binder_build.images.archives import files_in
from binder_build.images.engine import Engine
from binder_protocol.errors import EngineError

_CHUNK = 2**20


class ImageFiles:
    """The files of one image, while it is open. What is in them is a stranger's."""

    def __init__(self, client: Any, container: str) -> None:
        self._client = client
        self._container = container

    def read(self, path: str, limit: int) -> bytes | None:
        """The file at `path`; None where there is none, nothing of `limit` bytes, or a link."""
        return next((content for _, content in self.below(path, lambda _: True, limit)), None)

    def below(self, path: str, wanted: Callable[[str], bool], limit: int) -> Iterator[tuple[str, bytes]]:
        """Name and contents of the `wanted` files at and below `path`, of at most `limit` bytes each."""
        try:
            chunks, _ = self._client.get_archive(self._container, path, chunk_size=_CHUNK)
        except NotFound:
            return
        try:
            with tarfile.open(fileobj=_Stream(chunks), mode="r|") as archive:
                yield from files_in(archive, wanted, limit)
        except tarfile.TarError as error:
            raise EngineError("the engine broke off while files of the image were read") from error


@contextmanager
def opened(engine: Engine, reference: str) -> Iterator[ImageFiles]:
    """The files of the image of this id or name. Raises EngineError, also where there is none."""
    with engine.api() as client:
        try:
            container = client.create_container(reference, command=["true"], network_disabled=True)["Id"]
        except ImageNotFound:
            raise EngineError("the image is gone from the engine", suggestions=("build again",)) from None
        try:
            yield ImageFiles(client, container)
        finally:
            client.remove_container(container, v=True, force=True)


class _Stream(io.RawIOBase):
    """An iterator of chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size
        while missing:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
