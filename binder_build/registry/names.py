"""Names of images in a registry. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = re.compile(r"[.:]|^localhost$")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_VERSION = re.compile(r"sha256:[0-9a-f]{64}|\w[\w.-]{0,127}", re.A)


@dataclass(frozen=True, slots=True)
class ImageName:
    """host/repository, and of what is there the `version`: a tag or a digest."""

    host: str
    repository: str
    version: str

    @property
    def place(self) -> str:
        """Where it is, without a version."""
        return f"{self.host}/{self.repository}"

    @property
    def is_digest(self) -> bool:
        return self.version.startswith("sha256:")

    def at(self, version: str) -> ImageName:
        """Another version of the same repository."""
        return ImageName(self.host, self.repository, version)

    def __str__(self) -> str:
        return f"{self.place}{'@' if self.is_digest else ':'}{self.version}"


def parse_name(text: str) -> ImageName | None:
    """The image that `text` names in a registry; None where it names no registry, as an engine's ids don't."""
    name, _, digest = text.partition("@")
    host, slash, path = name.partition("/")
    if not slash or not _HOST.search(host):
        return None
    repository, _, tag = path.partition(":")
    version = digest or tag or "latest"
    if not _REPOSITORY.fullmatch(repository) or not _VERSION.fullmatch(version):
        return None
    return ImageName(host, repository, version)
