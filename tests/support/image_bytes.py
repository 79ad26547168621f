"""All that is in an image, as bytes to search."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterable, Iterator

import docker

_CHUNK = 2**20


def found_in_image(engine: docker.DockerClient, image: str, needles: Iterable[bytes]) -> set[bytes]:
    """Those of `needles` that are anywhere in what `docker save` writes: configuration, manifests, every layer."""
    wanted = list(needles)
    found: set[bytes] = set()
    with tarfile.open(fileobj=_Chunks(engine.images.get(image).save(chunk_size=_CHUNK)), mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                for piece in _overlapping(file, max(map(len, wanted))):
                    found.update(each for each in wanted if each in piece)
    return found


def _overlapping(file: object, longest: int) -> Iterator[bytes]:
    """Pieces that overlap by so much; decompressed, where they are compressed."""
    first = file.read(_CHUNK)  # type: ignore[attr-defined]
    packed = first[:2] == b"\x1f\x8b"
    pieces = iter([gzip.decompress(first + file.read())]) if packed else _after(first, file)  # type: ignore[attr-defined]
    rest = b""
    for piece in pieces:
        yield rest + piece
        rest = (rest + piece)[-longest:]


def _after(first: bytes, file: object) -> Iterator[bytes]:
    while first:
        yield first
        first = file.read(_CHUNK)  # type: ignore[attr-defined]


class _Chunks:
    """An iterator of chunks as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            more = next(self._chunks, b"")
            if not more:
                break
            self._rest += more
        part, self._rest = self._rest[:size], self._rest[size:]
        return part
