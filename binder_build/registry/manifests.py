"""What a registry keeps under a digest, as the OCI image specification has it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from binder_protocol.errors import EngineError

INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *sorted(INDEXES),
)
T = TypeVar("T", bound=BaseModel)

_SYSTEM, _ARCHITECTURE = "linux", "amd64"


class _Platform(BaseModel):
    os: str = ""
    architecture: str = ""


class _Part(BaseModel):
    digest: str
    size: int = 0
    platform: _Platform | None = None


class _Document(BaseModel):
    config: _Part | None = None
    layers: list[_Part] = []
    manifests: list[_Part] = []


class _Settings(BaseModel):
    config: dict[str, Any] = {}


@dataclass(frozen=True)
class Manifest:
    """One image: its configuration and its layers; or, `kind` being an index, several for several platforms."""

    digest: str
    kind: str
    content: bytes

    @property
    def is_index(self) -> bool:
        return self.kind in INDEXES

    @property
    def configuration(self) -> str:
        """The configuration's digest. Raises EngineError for an index."""
        if self._document.config is None:
            raise EngineError("the registry holds no image of that name")
        return self._document.config.digest

    @property
    def layers(self) -> list[str]:
        """Their digests."""
        return [each.digest for each in self._document.layers]

    @property
    def size(self) -> int:
        """The bytes of its layers, as they are kept: compressed."""
        return sum(each.size for each in self._document.layers)

    @property
    def of_platform(self) -> str:
        """Of an index: the digest of the image for Linux on amd64. Raises EngineError where there is none."""
        for each in self._document.manifests:
            if each.platform == _Platform(os=_SYSTEM, architecture=_ARCHITECTURE):
                return each.digest
        raise EngineError(f"the image is not for {_SYSTEM} on {_ARCHITECTURE}")

    @cached_property
    def _document(self) -> _Document:
        return _parsed(_Document, self.content)


def settings_of(content: bytes) -> dict[str, Any]:
    """What an image's configuration says of its containers. Raises EngineError for what is none."""
    return _parsed(_Settings, content).config


def _parsed(kind: type[T], content: bytes) -> T:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise EngineError("the registry holds no image of that name, but something else") from error
