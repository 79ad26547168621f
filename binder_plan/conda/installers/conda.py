"""Make a conda environment by py-rattler: `conda.py REQUEST PREFIX CACHE`, in a step of a build.

The request is JSON. `specs` are solved from `channels`; `with_python` are added where the solution has a Python, as is
known before where `python` is true. `locked` are packages by URL and hash, which are installed as they are. `pip` are
lines for the step after this one, `variables` are set on activation.

No script of a package is run: packages are unpacked, their files linked, prefixes put in. That is why the cache may be
shared between repositories of the same channels.
"""

import asyncio
import json
import os
import shlex
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import rattler
from rattler.exceptions import SolverError
from rattler.networking import Client
from rattler.networking.middleware import MirrorMiddleware, RetryMiddleware
from rattler.package import BuildString

TIMEOUT = 120
RETRIES = 2
ACTIVATE = """\
# Read by every bash that runs a script: what the packages set when their environment is activated, once.
if [ -z "${BINDER_ACTIVATED:-}" ]; then
    export BINDER_ACTIVATED=1
    for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
        if [ -r "$script" ]; then . "$script"; fi
    done
    unset script
"""


class Reporter:
    """A line every few seconds, and no bar that a log can't show."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.said = total, 0, time.monotonic()
        self.bytes: dict[int, int] = {}

    def on_download_start(self, entry: int) -> int:
        return entry

    def on_download_progress(self, download: int, progress: int, _total: int | None) -> None:
        self.bytes[download] = progress
        self.say()

    def on_link_start(self, operation: int, _name: str) -> int:
        return operation

    def on_link_complete(self, _index: int) -> None:
        self.done += 1
        self.say()

    def say(self, *, last: bool = False) -> None:
        if last or time.monotonic() - self.said > 3:
            self.said = time.monotonic()
            size = sum(self.bytes.values()) / 1e6
            print(f"{self.done} of {self.total} packages installed, {size:.1f} MB downloaded", flush=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_arguments: 0
        raise AttributeError(name)


async def solved(request: dict[str, Any], client: Client, cache: Path) -> list[Any]:
    """The records that fulfil the specs: each package from the first channel that has it, as long as that works."""
    for index in (cache / "repodata").glob("*.shards-cache-v*"):
        index.unlink(missing_ok=True)  # small; py-rattler 0.28 fails where a server says that it hasn't changed
    overrides = rattler.VirtualPackageOverrides(archspec=rattler.virtual_package.Override.string("x86_64"))
    given = {
        "sources": [rattler.Channel(url) for url in request["channels"]],
        "gateway": rattler.Gateway(cache_dir=cache / "repodata", client=client),
        "platforms": ["linux-64", "noarch"],
        "virtual_packages": rattler.VirtualPackage.detect(overrides),
        "exclude_newer": newest(request.get("as_of")),
        "channel_relations": "disabled",
    }

    async def attempt(specs: list[str]) -> list[Any]:
        wanted = [rattler.MatchSpec(spec, strict=False) for spec in specs]
        try:
            return list(await rattler.solve(specs=wanted, channel_priority=rattler.ChannelPriority.Strict, **given))
        except SolverError:
            if len(request["channels"]) == 1:
                raise
        records = list(await rattler.solve(specs=wanted, channel_priority=rattler.ChannelPriority.Disabled, **given))
        print("no solution by strict channel priority: packages of all channels are taken together", flush=True)
        return records

    specs, extras = request["specs"], request["with_python"]
    if not request["python"]:
        records = await attempt(specs)
        if "python" not in names(records):
            return records
    try:
        return await attempt([*specs, *extras])
    except SolverError:
        if "jupyterlab" not in extras:
            raise
    # What is said of a failure from here on is about the repository's own packages.
    records = await attempt([*specs, *(name for name in extras if name == "ipykernel")])
    print("no JupyterLab fits beside these packages: the base image's is used, with their kernel", flush=True)
    return records


def newest(day: str | None) -> datetime | None:
    """The end of that day."""
    return None if day is None else datetime.fromisoformat(day).replace(hour=23, minute=59, second=59)


def names(records: list[Any]) -> set[str]:
    return {record.name.normalized for record in records}


def locked(packages: list[dict[str, str]]) -> list[Any]:
    """Records of packages that are known by their files alone; what they depend on is in the lock, too."""
    records = []
    for each in packages:
        channel, subdir, file = each["url"].rsplit("/", 2)
        name, version, build = file.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
        hashes = {kind: bytes.fromhex(each[kind]) for kind in ("sha256", "md5") if kind in each}
        record = rattler.PackageRecord(name, version, BuildString(build), 0, subdir, None, None, **hashes)
        records.append(rattler.RepoDataRecord(record, file, each["url"], f"{channel}/"))
    return records


def write_notes(request: dict[str, Any], records: list[Any], prefix: Path) -> None:
    """The lock, the lines for pip, the activation: what later steps and people find below the prefix."""
    notes = prefix / "share" / "binder"
    notes.mkdir(parents=True, exist_ok=True)
    lines = ["@EXPLICIT"]
    for record in sorted(records, key=lambda each: each.name.normalized):
        digest = f"#{record.md5.hex()}" if record.md5 else f"#sha256:{record.sha256.hex()}" if record.sha256 else ""
        lines.append(f"{record.url}{digest}")
    (notes / "conda-linux-64.lock").write_text("\n".join(lines) + "\n")
    (notes / "pip.txt").write_text("".join(f"{line}\n" for line in request["pip"]))
    exports = "".join(f"    export {name}={shlex.quote(value)}\n" for name, value in request["variables"].items())
    (notes / "activate.sh").write_text(f"{ACTIVATE}{exports}fi\n")


async def main(request: dict[str, Any], prefix: Path, cache: Path) -> None:
    began = time.monotonic()
    mirrors = [MirrorMiddleware({source: [target] for source, target in request["mirrors"].items()})]
    client = Client([*(mirrors if request["mirrors"] else []), RetryMiddleware(RETRIES)], timeout=TIMEOUT)
    if "locked" in request:
        records = locked(request["locked"])
    else:
        print(f"solving {len(request['specs'])} specs from {', '.join(request['channels'])}", flush=True)
        records = await solved(request, client, cache)
    size = sum(record.size or 0 for record in records) / 1e6
    print(f"{len(records)} packages{f', {size:.1f} MB' if size else ''} ({time.monotonic() - began:.1f} s)", flush=True)
    reporter = Reporter(len(records))
    await rattler.install(
        records, prefix, cache_dir=cache / "packages", client=client, execute_link_scripts=False, reporter=reporter
    )
    reporter.say(last=True)
    scripts = sorted(path.name for path in prefix.glob("bin/.*-post-link.sh"))
    if scripts:
        print(f"not run, as no package's own scripts are: {', '.join(scripts)}", flush=True)
    write_notes(request, records, prefix)


if __name__ == "__main__":
    code = 0
    try:
        asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Path(sys.argv[3])))
    except Exception as error:  # noqa: BLE001 - the log says what went wrong, not where in this file
        print(f"error: {type(error).__name__}: {error}")
        code = 1
    sys.stdout.flush()
    os._exit(code)  # py-rattler's threads sometimes crash an interpreter that ends in order
