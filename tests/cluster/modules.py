"""Files out of Go modules: definitions of objects that others publish there."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

GATEWAY_API = "sigs.k8s.io/gateway-api@v1.5.1"
TRAEFIK = "github.com/traefik/traefik/v3@v3.7.13"
_SECONDS = 300


def module(name: str) -> Path:
    """The directory of that module in Go's cache; downloaded where it isn't there, and checked by its sum."""
    environ = os.environ | {"GOFLAGS": "-mod=mod", "GOWORK": "off"}
    with tempfile.TemporaryDirectory(prefix="module-") as nowhere:
        done = subprocess.run(
            ["go", "mod", "download", "-json", name],
            cwd=nowhere, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
    told = json.loads(done.stdout or "{}")
    if "Dir" not in told:
        raise RuntimeError(f"{name}: {told.get('Error') or done.stderr.strip()[-300:]}")
    return Path(told["Dir"])
