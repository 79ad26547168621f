"""Helm: that of this machine, else one built from the Go module beside the test cluster's, once.

`python -m tests.support.helm` builds it ahead.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

_SOURCES = Path(__file__).parents[1] / "cluster" / "helm"
_PACKAGE = "helm.sh/helm/v3/cmd/helm"
_BUILD_SECONDS = 3_600


def missing() -> str | None:
    """Why there is no Helm and none can be built."""
    if _installed() or _built().exists() or shutil.which("go"):
        return None
    return "there is no helm, and no go to build it"


def helm() -> str:
    """The program. Building it takes some four minutes of a processor, the first time."""
    found = _installed()
    if found:
        return found
    made = _built()
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(made.parent / "lock", timeout=_BUILD_SECONDS):
        if not made.exists():
            fresh = made.with_suffix(".new")
            command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(fresh), _PACKAGE]
            environ = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
            subprocess.run(command, cwd=_SOURCES, env=environ, check=True, timeout=_BUILD_SECONDS)
            fresh.replace(made)
    return str(made)


def _installed() -> str | None:
    found = shutil.which("helm")
    if found is None:
        return None
    version = subprocess.run([found, "version", "--short"], capture_output=True, text=True, timeout=20, check=False)
    return found if version.stdout.startswith("v3.") else None


def _built() -> Path:
    digest = hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in ("go.mod", "go.sum")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "binder-tests" / "helm" / digest.hexdigest()[:16] / "helm"


if __name__ == "__main__":
    print(helm())
