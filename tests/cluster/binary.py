"""The binary that all components are, built from Go modules and kept by a hash of what it is made of."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from filelock import FileLock

SOURCES = Path(__file__).parent / "kubeall"
_VERSION = "1.34.4"
_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_BUILD_SECONDS = 3_600


def binary() -> Path:
    """Where it is, or will be once it is built."""
    return _cache() / _key() / "kubeall"


def build() -> Path:
    """Builds it, unless that was done before: about nine minutes of a processor. A build under way is joined."""
    made = binary()
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(made.parent / "lock", timeout=_BUILD_SECONDS):
        if not made.exists():
            fresh = made.with_suffix(".new")
            subprocess.run(
                ["go", "build", *_flags(), "-o", str(fresh), "."],
                cwd=SOURCES, env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
                check=True, timeout=_BUILD_SECONDS,
            )  # fmt: skip
            fresh.replace(made)
    return made


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binder-tests" / "kube"


def _key() -> str:
    digest = hashlib.sha256(repr(_flags()).encode())
    for file in sorted(SOURCES.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _flags() -> list[str]:
    """Of `go build`. Without a version of its own the API server tells clients that it is v0.0.0."""
    major, minor, _ = _VERSION.split(".")
    facts = {
        "gitVersion": f"v{_VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean",
        "gitCommit": "0" * 40, "buildDate": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    named = [f"-X {package}.{name}={value}" for package in _PACKAGES for name, value in facts.items()]
    return ["-trimpath", "-tags", "netgo,osusergo", "-ldflags", " ".join(["-s", "-w", *named])]
