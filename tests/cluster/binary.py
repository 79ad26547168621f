"""Programs built from Go modules, kept by a hash of what they are made of."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

_HERE = Path(__file__).parent
_VERSION = "1.34.4"
_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_BUILD_SECONDS = 3_600


@dataclass(frozen=True)
class Program:
    """`package` of the module in `sources`, built with these `flags`."""

    name: str
    sources: Path
    package: str
    flags: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is, or will be once it is built."""
        return _cache() / self._key() / self.name

    def build(self) -> Path:
        """Builds it, unless that was done before. A build under way is joined."""
        made = self.path
        made.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(made.parent / "lock", timeout=_BUILD_SECONDS):
            if not made.exists():
                fresh = made.with_suffix(".new")
                subprocess.run(
                    ["go", "build", *self.flags, "-o", str(fresh), self.package],
                    cwd=self.sources, env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
                    check=True, timeout=_BUILD_SECONDS,
                )  # fmt: skip
                fresh.replace(made)
        return made

    def _key(self) -> str:
        digest = hashlib.sha256(repr(list(self.flags)).encode())
        for file in sorted(each for each in self.sources.iterdir() if each.is_file()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]


def binary() -> Path:
    """Where the cluster's binary is, or will be."""
    return _kubeall().path


def build() -> Path:
    """Builds the cluster's binary: about nine minutes of a processor where nothing is cached."""
    return _kubeall().build()


def kwok() -> Program:
    """What plays the part of kubelets. Its module is one of its own: it wants other libraries than the cluster."""
    flags = ("-trimpath", "-ldflags", "-s -w")
    return Program("kwok", _HERE / "kwok", "sigs.k8s.io/kwok/cmd/kwok", flags)


def enforcer() -> Program:
    """What enforces NetworkPolicies. Two minutes of a processor where nothing is cached."""
    return Program("enforcer", _HERE / "enforcer", ".", ("-trimpath", "-ldflags", "-s -w"))


def _kubeall() -> Program:
    # Without a version of its own the API server tells clients that it is v0.0.0.
    major, minor, _ = _VERSION.split(".")
    facts = {
        "gitVersion": f"v{_VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean",
        "gitCommit": "0" * 40, "buildDate": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    named = [f"-X {package}.{name}={value}" for package in _PACKAGES for name, value in facts.items()]
    flags = ("-trimpath", "-tags", "netgo,osusergo", "-ldflags", " ".join(["-s", "-w", *named]))
    return Program("kubeall", _HERE / "kubeall", ".", flags)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binder-tests" / "kube"
