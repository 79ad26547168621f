"""What is in registries: images found, described, named anew, taken away."""

from __future__ import annotations

import threading

import structlog

from binder_build.images.store import BuiltImage, image_of
from binder_build.process import Cancelled
from binder_build.registry.api import RegistryApi
from binder_build.registry.manifests import Manifest
from binder_build.registry.names import ImageName, parse_name
from binder_protocol.errors import EngineError

log = structlog.get_logger()


class RegistryContents:
    """Images by their names, host/repository:tag or host/repository@digest. What can't be asked is an `EngineError`."""

    def __init__(self, api: RegistryApi) -> None:
        self._api = api

    def ping(self, reference: str) -> None:
        """Raises `EngineError` where the registry of an image of that name doesn't answer."""
        self._api.ping(named(reference))

    def close(self) -> None:
        """Lets go of connections."""
        self._api.close()

    def digest(self, reference: str) -> str | None:
        """That of the image, or of the list of images for several platforms; None where there is none."""
        manifest = self._api.manifest(named(reference))
        return None if manifest is None else manifest.digest

    def exists(self, reference: str) -> bool:
        """Whether there is an image of this name; an engine's id is the name of none."""
        name = parse_name(reference)
        return name is not None and self._api.manifest(name) is not None

    def pinned(self, reference: str) -> str:
        """The image's name by digest. Raises `EngineError` where there is none."""
        name, manifest = self._found(reference)
        return str(name.at(manifest.digest))

    def inspect(self, reference: str) -> BuiltImage:
        """The image of this name, its size as it is kept. Raises `EngineError` where there is none."""
        name, manifest = self._found(reference)
        facts = self._api.configuration(name, manifest.configuration)
        return image_of(str(name.at(manifest.digest)), manifest.size, facts)

    def whole(self, reference: str, cancel: threading.Event | None) -> str:
        """Its name by digest, once it is known that all of it is there. Raises `EngineError`, `Cancelled`."""
        name, manifest = self._found(reference)
        for layer in (manifest.configuration, *manifest.layers):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            if not self._api.has_blob(name, layer):
                raise EngineError(f"the registry lacks a layer of {name}", suggestions=("build again",))
        return str(name.at(manifest.digest))

    def tag(self, image: str, reference: str) -> None:
        """Gives the image another name in its repository."""
        _, manifest = self._found(image)
        self._api.put(named(reference), manifest)

    def remove(self, reference: str) -> None:
        """Takes a name away, and the image with its last one. Where the registry deletes nothing, it stays."""
        name = parse_name(reference)
        if name is None or (not name.is_digest and self._api.delete(name)):
            return
        manifest = self._api.manifest(name)
        if manifest is None:
            return
        # Registries that delete by digest alone take all names of an image with it.
        others = (each for each in self._api.tags(name) if each != name.version)
        if any(self._is(name.at(each), manifest.digest) for each in others):
            return
        if not self._api.delete(name.at(manifest.digest)):
            log.info("the registry deletes no images", image=str(name))

    def _is(self, name: ImageName, digest: str) -> bool:
        manifest = self._api.manifest(name)
        return manifest is not None and manifest.digest == digest

    def _found(self, reference: str) -> tuple[ImageName, Manifest]:
        """The image for this machine's platform. Raises `EngineError` where there is none."""
        name = named(reference)
        manifest = self._api.manifest(name)
        if manifest is not None and manifest.is_index:
            manifest = self._api.manifest(name.at(manifest.of_platform))
        if manifest is None:
            raise EngineError(f"the image {name} is gone from the registry", suggestions=("build again",))
        return name, manifest


def named(reference: str) -> ImageName:
    """Raises `EngineError` for a name without a registry."""
    name = parse_name(reference)
    if name is None:
        raise EngineError(
            f"{reference} names no registry", suggestions=("operator: name images as host/repository:tag",)
        )
    return name
