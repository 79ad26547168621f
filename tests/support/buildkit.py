"""BuildKit for tests of builders: its programs, built from Go modules and kept, and an image with them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tests.support.building import HOST_CA

IMAGE = "binder-test-buildkit:1"
SOURCES = Path(__file__).parents[1] / "cluster" / "buildkit"
_PROGRAMS = ("buildctl", "buildkitd")
_SECONDS = 3_600


def missing() -> str | None:
    """Why the programs can't be had, if they can't."""
    return None if _place().is_dir() or shutil.which("go") else "there is no go, to build BuildKit with"


def programs() -> Path:
    """The directory they are in; built unless they were before, which takes minutes. A build under way is joined."""
    made = _place()
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(made.with_suffix(".lock"), timeout=_SECONDS):
        if not made.is_dir():
            fresh = made.with_suffix(".new")
            packages = [f"github.com/moby/buildkit/cmd/{name}" for name in _PROGRAMS]
            subprocess.run(
                ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{fresh}/", *packages],
                cwd=SOURCES, env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
                check=True, timeout=_SECONDS,
            )  # fmt: skip
            fresh.rename(made)
    return made


@contextmanager
def made_image(base: str) -> Iterator[str]:
    """IMAGE in the Docker engine, on the base image of that name; its steps stay in the cache when it goes."""
    _make(base)
    try:
        yield IMAGE
    finally:
        subprocess.run(["docker", "rmi", IMAGE], check=True, capture_output=True, timeout=60)


def _place() -> Path:
    digest = hashlib.sha256((SOURCES / "go.sum").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "binder-tests" / "buildkit" / digest


def _make(base: str) -> None:
    with tempfile.TemporaryDirectory(prefix="buildkit-") as name:
        place = Path(name)
        (place / "authorities").mkdir()
        for program in _PROGRAMS:
            shutil.copy2(programs() / program, place)
        if HOST_CA.exists():
            shutil.copy(HOST_CA, place / "authorities" / "ca.crt")
        text = (SOURCES / "Dockerfile").read_text().replace("binder-base:latest", base)
        (place / "Dockerfile").write_text(text)
        words = ["docker", "buildx", "build", "--builder=default", "--quiet", "--load", f"--tag={IMAGE}"]
        subprocess.run(
            [*words, f"--build-context=authorities={place / 'authorities'}", str(place)],
            check=True, capture_output=True, timeout=600,
        )  # fmt: skip


if __name__ == "__main__":
    print(programs())
