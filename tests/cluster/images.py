"""The two images that are on the node from the start, made of Debian's static busybox."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from tests.cluster.config import PAUSE_IMAGE

BUSYBOX_IMAGE = "localhost/busybox:1"
# Holds a pod's namespaces. It doesn't reap: pods that share the process namespace keep their dead.
_PAUSE = ["/bin/busybox", "sleep", "2147483647"]
_PEOPLE = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_EPOCH = "1970-01-01T00:00:00Z"


def archives() -> dict[str, bytes]:
    """Image archives by name."""
    layer = filesystem()
    return {PAUSE_IMAGE: _image(PAUSE_IMAGE, layer, _PAUSE), BUSYBOX_IMAGE: _image(BUSYBOX_IMAGE, layer, ["/bin/sh"])}


def filesystem() -> bytes:
    """A tar archive of a root with busybox in it."""
    program = shutil.which("busybox")
    assert program, "there is no busybox (package busybox-static)"
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True, timeout=10)
    return _layer(Path(program).read_bytes(), listed.stdout.split())


def _layer(busybox: bytes, applets: list[str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            tar.addfile(_entry(name, type=tarfile.DIRTYPE, mode=mode))
        _put(tar, "etc/passwd", _PEOPLE)
        _put(tar, "bin/busybox", busybox, mode=0o755)
        for applet in sorted({*applets} - {"busybox"}):
            tar.addfile(_entry(f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox"))
    return file.getvalue()


def _image(name: str, layer: bytes, command: list[str]) -> bytes:
    config = {
        "architecture": "amd64", "os": "linux", "created": _EPOCH,
        "config": {"Env": ["PATH=/bin"], "WorkingDir": "/", "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }  # fmt: skip
    config_blob = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2, "mediaType": _MANIFEST,
        "config": _descriptor(config_blob, _CONFIG), "layers": [_descriptor(layer, _LAYER)],
    }  # fmt: skip
    manifest_blob = json.dumps(manifest).encode()
    described = _descriptor(manifest_blob, _MANIFEST) | {"annotations": {"io.containerd.image.name": name}}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        _put(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _put(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [described]}).encode())
        for blob in (layer, config_blob, manifest_blob):
            _put(tar, "blobs/" + _digest(blob).replace(":", "/"), blob)
    return file.getvalue()


def _descriptor(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _put(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    tar.addfile(_entry(name, size=len(content), mode=mode), io.BytesIO(content))


def _entry(name: str, **values: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for attribute, value in values.items():
        setattr(entry, attribute, value)
    return entry
