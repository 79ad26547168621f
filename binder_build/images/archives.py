"""Files out of the archive of an image's files, which is read as it comes. What is in it is a stranger's."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator

from binder_protocol.errors import EngineError

_MANY = 1_000_000


def files_in(archive: tarfile.TarFile, wanted: Callable[[str], bool], limit: int) -> Iterator[tuple[str, bytes]]:
    """Name and contents of the `wanted` files of at most `limit` bytes each. Raises EngineError where there are very
    many, tarfile.TarError where it breaks off.
    """
    for count, member in enumerate(archive):
        archive.members = []  # type: ignore[attr-defined]  # it remembers all of them, for nobody
        if count > _MANY:
            raise EngineError("the image has too many files to be read")
        if member.isfile() and member.size <= limit and wanted(member.name):
            file = archive.extractfile(member)
            yield member.name, b"" if file is None else file.read()
