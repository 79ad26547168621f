"""What is installed in an image: its lock and its bill of materials, from files that are read and never run. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from typing import Any
from urllib.parse import quote

from binder_build.images.store import Files
from binder_plan.recipe import ENVIRONMENT

LOCK = f"{ENVIRONMENT}/share/binder/lock.txt"
BASE_LOCK = "/opt/binder/share/python-requirements.txt"
DPKG_STATUS = "/var/lib/dpkg/status"

_MAX_LOCK = 2**20
_MAX_STATUS = 32 * 2**20
_MAX_METADATA = 2**20
_MAX_COMPONENTS = 20_000
_NAMESPACE = uuid.UUID("1f0d2c1c-5e0a-4d0c-8f9e-8d6d2a8f4c11")
_METADATA = re.compile(r"/site-packages/[^/]+(?:\.dist-info/METADATA|\.egg-info/PKG-INFO)$")
_CONDA = re.compile(r"/conda-meta/(?P<name>[^/]+)-(?P<version>[^/-]+)-[^/-]+\.json$")
_PLAIN = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, order=True, slots=True)
class Component:
    """One thing that is installed. `kind` is the type of its package URL: deb, pypi, conda."""

    kind: str
    name: str
    version: str
    architecture: str = ""

    @property
    def purl(self) -> str:
        """Its package URL."""
        name = re.sub(r"[-_.]+", "-", self.name).lower() if self.kind == "pypi" else self.name
        namespace = "debian/" if self.kind == "deb" else ""
        qualifier = f"?arch={quote(self.architecture, safe='')}" if self.architecture else ""
        return f"pkg:{self.kind}/{namespace}{quote(name, safe='')}@{quote(self.version, safe='')}{qualifier}"


def lock_of(files: Files, *, base: bool) -> str | None:
    """The lock of an image, a requirement a line; `base`: where it has none, that of the base it stands on."""
    found = files.read(LOCK, _MAX_LOCK)
    if found is None and base:
        found = files.read(BASE_LOCK, _MAX_LOCK)
    if found is None:
        return None
    lines = [line.partition(" #")[0].strip() for line in found.decode("utf-8", "replace").splitlines()]
    kept = [line for line in lines if line and line.isprintable() and not line.startswith(("#", "-"))]
    return "".join(f"{line}\n" for line in kept)


def digest_of(text: str) -> str:
    """What the label of an image says of its lock, or of its bill of materials."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def components_of(files: Files) -> list[Component]:
    """Debian's packages, and what is in the Python environment, in their order."""
    found = set(_debian(files.read(DPKG_STATUS, _MAX_STATUS) or b""))

    def wanted(name: str) -> bool:
        return _METADATA.search(name) is not None or _CONDA.search(name) is not None

    for name, content in files.below(ENVIRONMENT, wanted, _MAX_METADATA):
        conda = _CONDA.search(name)
        found.add(Component("conda", conda["name"], conda["version"]) if conda else _python(content))
        if len(found) > _MAX_COMPONENTS:
            break
    return sorted(each for each in found if _PLAIN.fullmatch(each.name) and _PLAIN.fullmatch(each.version))


def bill_of_materials(image: str, name: str, commit: str, made: int, program: str, found: Iterable[Component]) -> str:
    """CycloneDX 1.6 of `image`, an image's id; the image that holds the text has another one.

    The same text for the same image: `made` (Unix seconds) is its commit's moment.
    """
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, image)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(made, UTC).isoformat().replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "binder", "version": program}]},
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": name,
                "version": commit,
                "properties": [{"name": "org.binder.image", "value": image}],
            },
        },
        "components": [_entry(each) for each in found],
    }
    return json.dumps(document)


def _entry(component: Component) -> dict[str, str]:
    return {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    }


def _debian(status: bytes) -> Iterator[Component]:
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            yield Component("deb", fields.get("Package", ""), fields.get("Version", ""), fields.get("Architecture", ""))


def _python(metadata: bytes) -> Component:
    headers = HeaderParser().parsestr(metadata.decode("utf-8", "replace").partition("\n\n")[0])
    return Component("pypi", str(headers.get("Name", "")), str(headers.get("Version", "")))
