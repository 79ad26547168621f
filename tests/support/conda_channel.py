"""A conda channel of tiny packages, made on the spot: no real one is within reach of the tests.

Its `python` is Debian's of the base image in conda's clothes: a symbolic link to /usr/bin/python3 and a `pyvenv.cfg`,
so that its prefix is the environment's and noarch packages, entry points and pip's packages work as in a real one.
Its `jupyterlab` is a program that prints its name. py-rattler makes the index, in a process of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from binder_plan.conda.rattler import RATTLER

PYTHON = "3.13"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"
_TIME = 1_700_000_000


@dataclass(frozen=True)
class Package:
    """A package to be. `files` are contents by path, a `->` before one makes it a symbolic link; `prefix` names those
    that hold a placeholder for the environment's place."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    python: bool = False
    entry_points: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()

    @property
    def build(self) -> str:
        return "py_0" if self.python else "0"

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.tar.bz2"


PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
_JUPYTER = f"#!{PLACEHOLDER}/bin/python\nimport sys\nprint('conda', sys.prefix)\n"

_PYTHON_FILES = {
    "bin/python": "->/usr/bin/python3",
    "bin/python3": "->python",
    f"bin/python{PYTHON}": "->python",
    "pyvenv.cfg": f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n",
    f"{SITE_PACKAGES}/README.txt": "packages are put here\n",
}


def small_packages() -> list[Package]:
    """What the cases of tests/repos ask for."""
    return [
        Package("python", f"{PYTHON}.5", files=_PYTHON_FILES),
        Package("python", f"{PYTHON}.1", files=_PYTHON_FILES),
        Package("python", "2.7.18", files=_PYTHON_FILES),
        Package("pip", "25.0", ("python",), {"site-packages/pip_of_conda.py": ""}, python=True),
        Package(
            "jupyterlab",
            "4.4.0",
            ("python >=3", "ipykernel"),
            {"bin/jupyter": _JUPYTER, "bin/jupyter-lab": _JUPYTER},
            prefix=("bin/jupyter", "bin/jupyter-lab"),
        ),
        Package("ipykernel", "6.29.0", ("python",), {"site-packages/ipykernel_of_conda.py": ""}, python=True),
        *(
            Package(
                "tool",
                version,
                ("python >=3.8", "datum"),
                {"site-packages/tool.py": f"VERSION = '{version}'\ndef main():\n    print('tool', VERSION)\n"},
                python=True,
                entry_points=("tool = tool:main",),
            )
            for version in ("1.0", "1.5", "2.0")
        ),
        Package(
            "datum",
            "0.3",
            files={
                "share/datum.txt": f"{PLACEHOLDER}/share\n",
                "etc/conda/activate.d/datum.sh": 'export DATUM="$CONDA_PREFIX/share/datum.txt"\n',
            },
            prefix=("share/datum.txt",),
        ),
        Package("old", "1.0", ("tool <1.5",)),
        Package("r-base", "4.4.1", files={"bin/Rscript": "#!/bin/sh\necho R of conda\n"}),
        Package("scripted", "1.0", files={"bin/.scripted-post-link.sh": "touch $PREFIX/linked\n"}),
    ]


def make_channel(directory: Path, packages: Iterable[Package]) -> Path:
    """Writes the packages and their index below `directory`."""
    for subdir in ("linux-64", "noarch"):
        (directory / subdir).mkdir(parents=True, exist_ok=True)
    for package in packages:
        place = directory / ("noarch" if package.python else "linux-64") / package.file_name
        place.write_bytes(archive(package))
    _index(directory)
    return directory


def archive(package: Package, *, compression: int = 1) -> bytes:
    """The package as .tar.bz2."""
    files = {path: text.encode() if isinstance(text, str) else text for path, text in package.files.items()}
    index = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": 0,
        "depends": list(package.depends),
        "subdir": "noarch" if package.python else "linux-64",
        "arch": None if package.python else "x86_64",
        "platform": None if package.python else "linux",
        "timestamp": _TIME * 1000,
        **({"noarch": "python"} if package.python else {}),
    }
    paths = {"paths_version": 1, "paths": [_path(package, path, data) for path, data in sorted(files.items())]}
    info = {"info/index.json": index, "info/paths.json": paths}
    if package.python:
        noarch = {"type": "python", "entry_points": list(package.entry_points)}
        info["info/link.json"] = {"noarch": noarch, "package_metadata_version": 1}
    found = {name: json.dumps(facts).encode() for name, facts in info.items()} | files
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2", compresslevel=compression) as tar:
        for name, data in found.items():
            _add(tar, name, data)
    return buffer.getvalue()


def _path(package: Package, path: str, data: bytes) -> dict[str, object]:
    linked = data.startswith(b"->")
    placeholder = {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"} if path in package.prefix else {}
    facts = {} if linked else {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
    return {"_path": path, "path_type": "softlink" if linked else "hardlink", **facts, **placeholder}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = _TIME
    if data.startswith(b"->"):
        entry.type, entry.linkname = tarfile.SYMTYPE, data[2:].decode()
        tar.addfile(entry)
        return
    entry.mode = 0o755 if name.startswith("bin/") else 0o644
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


_INDEX = """\
import asyncio, os, sys
from rattler.index import index_fs

asyncio.run(index_fs(sys.argv[1], write_zst=True))
os._exit(0)  # py-rattler's threads sometimes crash an interpreter that ends in order
"""


def _index(directory: Path) -> None:
    rattler = installed_rattler(directory.parent / "rattler")
    subprocess.run(
        [sys.executable, "-c", _INDEX, str(directory)], check=True, timeout=120, env={"PYTHONPATH": str(rattler)}
    )


def installed_rattler(directory: Path) -> Path:
    """py-rattler at the version of the builds, for tests and benchmarks alone."""
    if not directory.exists():
        command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(directory), RATTLER]
        subprocess.run(command, check=True, timeout=300)
    return directory
