"""The files that a build is given: written into its private directory, and gone with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from binder_build.images.network import BuildNetwork
from binder_plan.dockerfile import NETWORK_CONTEXT
from binder_protocol.errors import EngineError


def network_context(network: BuildNetwork, work: Path) -> dict[str, Path]:
    """The named context that steps take this host's network configuration from, where it has any."""
    try:
        files = network.files()
    except OSError as error:
        raise EngineError(
            f"the CA bundle can't be read: {error.strerror}", suggestions=("operator: correct `ca_bundle`",)
        ) from None
    if not files:
        return {}
    place = work / NETWORK_CONTEXT
    place.mkdir(0o700)
    _written(place, files, mode=0o644)  # as the steps' user reads them; the directory is closed
    return {NETWORK_CONTEXT: place}


def written_secrets(work: Path, secrets: Mapping[str, bytes]) -> dict[str, Path]:
    """Where each secret is: in a directory of their own, for names are the request's."""
    place = work / "secrets"
    place.mkdir(0o700)
    return _written(place, secrets, mode=0o600)


def _written(directory: Path, files: Mapping[str, bytes], *, mode: int) -> dict[str, Path]:
    """Writes the files; where each is."""
    places = {name: directory / name for name in files}
    for name, place in places.items():
        place.touch(mode)
        place.write_bytes(files[name])
        place.chmod(mode)
    return places
