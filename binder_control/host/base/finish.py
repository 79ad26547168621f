"""Make a Python environment ready after an installation: `finish.py PREFIX`.

1. Bytecode is compiled where there is none yet, as `unchecked-hash`: loaded without a look at its source file, and the
   same bytes whenever it is made. What is there already stays as it is, so that the layer holds only what is new.
   Packages' own tests are passed over: nearly half of all code of science, and whoever runs them has time.
2. `PREFIX/share/binder/lock.txt` lists every distribution with its version, as requirements.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

_CHUNK = 64
_PASSED_OVER = ("__pycache__", "tests")


def sources(site_packages: Path) -> list[str]:
    """The files without bytecode."""
    found = []
    for directory, names, files in os.walk(site_packages):
        names[:] = [name for name in names if name not in _PASSED_OVER]
        for name in files:
            path = f"{directory}/{name}"
            if name.endswith(".py") and not Path(importlib.util.cache_from_source(path)).exists():
                found.append(path)
    return sorted(found)


def compile_one(path: str) -> None:
    # Some packages carry sources that don't compile (templates, tests): they are never imported either.
    compileall.compile_file(path, force=True, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def compile_all(paths: list[str]) -> None:
    if len(paths) <= _CHUNK:
        for path in paths:
            compile_one(path)
        return
    with ProcessPoolExecutor() as pool:
        list(pool.map(compile_one, paths, chunksize=_CHUNK))


def versions(site_packages: Path) -> list[str]:
    """`name==version`, or `name @ address` for what came from an address."""
    lines = set()
    for each in importlib.metadata.distributions(path=[str(site_packages)]):
        name = each.metadata["Name"]
        if name:
            lines.add(f"{name} @ {url}" if (url := _address(each)) else f"{name}=={each.version}")
    return sorted(lines, key=str.lower)


def _address(distribution: importlib.metadata.Distribution) -> str | None:
    try:
        facts = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    url = facts.get("url", "")
    if not url.startswith("https://") or "@" in url.split("/", 3)[2]:
        return None
    commit = facts.get("vcs_info", {}).get("commit_id")
    return f"git+{url}@{commit}" if commit else url


def main(prefix: Path) -> None:
    site_packages = next(prefix.glob("lib/python3.*/site-packages"))
    compile_all(sources(site_packages))
    lock = prefix / "share" / "binder" / "lock.txt"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("".join(f"{line}\n" for line in versions(site_packages)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
