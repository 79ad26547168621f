"""The file of an operator's patch of pods, in YAML or JSON. The deploy service's only home of pyyaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from binder_deploy.backends.kubernetes.pod_patch import PatchRefused

_MOST_BYTES = 65_536


def read(file: Path) -> dict[str, Any]:
    """The patch as it stands in the file. Raises PatchRefused."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise PatchRefused(f"it can't be read: {error.strerror}") from None
    if len(text) > _MOST_BYTES:
        raise PatchRefused(f"it is larger than {_MOST_BYTES} bytes")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PatchRefused(f"it is not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict):
        raise PatchRefused("it is no map with metadata or spec")
    return found
