"""Locks and bills of materials, from files that a stranger may have written."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from docker.errors import NotFound
from hypothesis import given
from hypothesis import strategies as st

from binder_build.images.files import ImageFiles
from binder_build.inventory import Component, bill_of_materials, components_of, digest_of, lock_of
from binder_protocol.errors import EngineError

PYTHON = "/opt/binder/env/lib/python3.13/site-packages"
STATUS = """Package: tree
Status: install ok installed
Architecture: amd64
Version: 2.2.1-1
Description: a tree
 Package: not-one

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Version: 14.2.0-19
"""


class Archives:
    """What the engine answers of a container with these files; in pieces of any length."""

    def __init__(self, files: dict[str, bytes | None], piece: int = 100) -> None:
        self._files = files
        self._piece = piece

    def get_archive(self, _container: str, path: str, chunk_size: int) -> tuple[Iterator[bytes], dict[str, Any]]:
        found = {name: content for name, content in self._files.items() if f"{name}/".startswith(f"{path}/")}
        if not found:
            raise NotFound("no such file")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in found.items():
                member = tarfile.TarInfo(name.lstrip("/"))
                member.size = len(content or b"")
                member.type = tarfile.SYMTYPE if content is None else tarfile.REGTYPE
                member.linkname = "/etc/shadow"
                archive.addfile(member, io.BytesIO(content or b""))
        data = packed.getvalue()
        return (data[at : at + self._piece] for at in range(0, len(data), self._piece)), {}


def files(found: dict[str, bytes | None], piece: int = 100) -> ImageFiles:
    return ImageFiles(Archives(found, piece), "container")


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not-this\n".encode()


@pytest.mark.parametrize("piece", [1, 100, 10**6])
def test_components_are_those_that_are_installed(piece: int) -> None:
    found = {
        "/var/lib/dpkg/status": STATUS.encode(),
        f"{PYTHON}/Six-1.17.dist-info/METADATA": metadata("Six", "1.17"),
        f"{PYTHON}/Six-1.17.dist-info/RECORD": b"x",
        f"{PYTHON}/old.egg-info/PKG-INFO": metadata("zope.old_one", "0.1+local"),
        f"{PYTHON}/thing/METADATA": metadata("no", "1"),
        "/opt/binder/env/conda-meta/r-base-4.3.1-h1_0.json": b"{}",
        f"{PYTHON}/bad.dist-info/METADATA": b"\xff\xfe",
        f"{PYTHON}/link.dist-info/METADATA": None,
    }
    assert [each.purl for each in components_of(files(found, piece))] == [
        "pkg:conda/r-base@4.3.1",
        "pkg:deb/debian/libgcc-s1@14.2.0-19?arch=amd64",
        "pkg:deb/debian/tree@2.2.1-1?arch=amd64",
        "pkg:pypi/six@1.17",
        "pkg:pypi/zope-old-one@0.1%2Blocal",
    ]


@given(st.lists(st.builds(Component, st.sampled_from(["deb", "pypi"]), st.text(min_size=1), st.text()), unique=True))
def test_a_bill_of_materials_is_valid_whatever_is_installed(found: list[Component]) -> None:
    unique = {each.purl: each for each in found}.values()
    text = bill_of_materials(f"sha256:{'0' * 64}", "own-thing", "c" * 40, 1_700_000_000, "1.0", unique)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert len(json.loads(text)["components"]) == len(unique)


def test_the_bill_of_an_image_is_always_the_same() -> None:
    first, again, other = (bill_of_materials(image, "n", "c", 1, "1", []) for image in ("a", "a", "b"))
    assert first == again
    assert json.loads(first)["serialNumber"] != json.loads(other)["serialNumber"]


def test_a_lock_is_of_lines_that_can_be_shown() -> None:
    own = {
        "/opt/binder/env/share/binder/lock.txt": b"six==1.17\nattrs @ https://x/y.whl\n\n\x1b[0mevil\n--index-url x\n"
    }
    base: dict[str, bytes | None] = {"/opt/binder/share/python-requirements.txt": b"# made\nsix==1  # via x\n"}
    assert lock_of(files({**base, **own}), base=True) == "six==1.17\nattrs @ https://x/y.whl\n"
    assert lock_of(files(base), base=True) == "six==1\n"
    assert lock_of(files(base), base=False) is None
    assert lock_of(files({"/opt/binder/env/share/binder/lock.txt": None}), base=False) is None
    assert digest_of("a") != digest_of("b")


def test_an_archive_that_ends_early_is_the_engines_fault() -> None:
    class Broken(Archives):
        def get_archive(self, container: str, path: str, chunk_size: int) -> tuple[Iterator[bytes], dict[str, Any]]:
            chunks, facts = super().get_archive(container, path, chunk_size)
            return iter([next(chunks)]), facts

    broken = ImageFiles(Broken({"/var/lib/dpkg/status": STATUS.encode()}, 700), "container")
    with pytest.raises(EngineError):
        broken.read("/var/lib/dpkg/status", 2**20)
