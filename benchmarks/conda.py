"""What a conda environment costs through Binder: POST until completed, beside py-rattler's own resolve and install.

    python -m benchmarks.conda [--rounds 5] [--packages 60] [--megabytes 120]

The channel is made on the spot and served from this machine, so downloads take next to no time. `floor` is the same
program with the same request in a bare container of the base image, started by `docker run`; its prefix is the
container's own, and no image comes of it. `image` is the least that makes one on this engine: `docker buildx build` of
the base image and one step with that program. `cold` has a channel of its own each round, so that no side finds a
package in its cache; `warm` has all packages in all caches, and a Dockerfile that nobody built before. They take turns.
Prints a table, and JSON (median, minimum, maximum in seconds) as the last line.
"""

from __future__ import annotations

import argparse
import random
import re
import secrets
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.build import remove, report, summary
from binder_client.client import Client
from binder_protocol.models import BuildStatus
from tests.support.building import build_process, registry, settings
from tests.support.conda_channel import Package, installed_rattler, make_channel, small_packages
from tests.support.git_server import GitServer, ServedRepository, git_server
from tests.support.stub_host import served, stub_address

LIMIT = 1.15
_FILES = 60


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packages", type=int, default=60)
    parser.add_argument("--megabytes", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="binder-benchmark-") as place:
        root = Path(place)
        make_channel(root / "channels" / "real", [*small_packages(), *synthetic(options.packages, options.megabytes)])
        with (
            stub_address() as address,
            served(root / "channels", address) as alias,
            git_server(root / "served") as server,
            registry(root / "home") as registry_url,
            build_process(root / "home", registry_url=registry_url, conda_channel_alias=alias) as service,
        ):
            bench = Bench(root, server, service.client, options.packages)
            found = {name: bench.compare(name, options.rounds) for name in ("cold", "warm")}
    report(found, {"cold": LIMIT, "warm": LIMIT})


def synthetic(count: int, megabytes: int) -> list[Package]:
    """Packages of many files, half of whose bytes can be compressed; each needs the one before it."""
    source = random.Random(1)  # the same at every run
    size = megabytes * 1_000_000 // count // _FILES
    packages = []
    for number in range(count):
        files: dict[str, bytes | str] = {
            f"lib/p{number}/{name}.bin": source.randbytes(size // 2) + b"x" * (size // 2) for name in range(_FILES)
        }
        needs = (f"p{number - 1}",) if number else ("python",)
        packages.append(Package(f"p{number}", "1.0", needs, files))
    return packages


class Bench:
    """The ways to one environment."""

    def __init__(self, root: Path, server: GitServer, client: Client, packages: int) -> None:
        self._root = root
        self._server = server
        self._client = client
        self._packages = packages
        self._rattler = installed_rattler(root / "channels" / "rattler")
        self._base = settings(root).base_image
        (root / "tool").mkdir()

    def compare(self, name: str, rounds: int) -> dict[str, object]:
        """The times of all ways in turn; the first round warms up and isn't counted."""
        repository = self._server.create(f"bench/{name}")
        times: dict[str, list[float]] = {"binder": [], "image": [], "floor": []}
        for number in range(rounds + 1):
            channel = "real"
            if name == "cold":
                channel = f"c{secrets.token_hex(4)}"
                (self._root / "channels" / channel).symlink_to("real")
            request = self._commit(repository, channel)
            ways = {
                "binder": lambda: self._binder(repository),
                "image": lambda channel=channel: self._image(channel),
                "floor": lambda channel=channel, request=request: self._floor(request, channel),
            }
            for way in sorted(ways, reverse=bool(number % 2)):
                took = ways[way]()
                if number:
                    times[way].append(took)
        subprocess.run(["docker", "volume", "rm", "--force", "binder-benchmark-real"], capture_output=True, timeout=60)
        found = {way: summary(each) for way, each in times.items()}
        for bare in ("image", "floor"):
            ratios = [mine / other for mine, other in zip(times["binder"], times[bare], strict=True)]
            found["ratio" if bare == "floor" else f"by {bare}"] = summary(ratios)
        return found

    def _commit(self, repository: ServedRepository, channel: str) -> str:
        """An environment that nobody asked for before; the request that the installing program gets for it."""
        lines = ["channels:", f"- {channel}", "variables:", f"  NONCE: {secrets.token_hex(8)}", "dependencies:"]
        repository.commit({"environment.yml": "\n".join([*lines, "- python", f"- p{self._packages - 1}", ""])})
        dockerfile = self._client.build.plan(repository.url).dockerfile
        for name in ("conda.py", "request.json"):
            match = re.search(rf'^COPY <<"END" \S+/{re.escape(name)}\n(.*?)\nEND$', dockerfile, re.M | re.S)
            assert match
            (self._root / "tool" / name).write_text(match[1])
        return str(self._root / "tool" / "request.json")

    def _binder(self, repository: ServedRepository) -> float:
        began = time.perf_counter()
        build = self._client.build.start(repository.url)
        while not build.status.ended:
            time.sleep(0.005)
            build = self._client.build.status(build.name)
        took = time.perf_counter() - began
        assert build.status is BuildStatus.COMPLETED, build.failure
        remove(build.image)
        return took

    def _image(self, channel: str) -> float:
        image = f"binder-benchmark-{channel}"
        mounts = f"--mount=type=bind,from=tool,target=/tmp/tool --mount=type=cache,id={image},target=/tmp/cache"
        run = "PYTHONPATH=/tmp/rattler python /tmp/tool/conda.py /tmp/tool/request.json /home/jovyan/prefix /tmp/cache"
        text = f"FROM {self._base}\nUSER root\nRUN {mounts} --mount=type=bind,from=rattler,target=/tmp/rattler {run}\n"
        contexts = [f"--build-context=tool={self._root / 'tool'}", f"--build-context=rattler={self._rattler}"]
        began = time.perf_counter()
        words = ["docker", "buildx", "build", *contexts, "--tag", image, "-"]
        subprocess.run(words, input=text, text=True, check=True, capture_output=True, timeout=600)
        took = time.perf_counter() - began
        remove(image)
        return took

    def _floor(self, request: str, channel: str) -> float:
        cache = f"binder-benchmark-{channel}"
        command = "python /tmp/conda.py /tmp/request.json /home/jovyan/prefix /home/jovyan/cache"
        mounts = {
            request: "/tmp/request.json",
            f"{self._root}/tool/conda.py": "/tmp/conda.py",
            self._rattler: "/tmp/rattler",
        }
        words = [word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}:ro")]
        words += ["--volume", f"{cache}:/home/jovyan/cache", "--env", "PYTHONPATH=/tmp/rattler", "--user", "0"]
        began = time.perf_counter()
        subprocess.run(
            ["docker", "run", "--rm", *words, self._base, "sh", "-c", command],
            check=True,
            capture_output=True,
            timeout=600,
        )
        took = time.perf_counter() - began
        if channel != "real":
            subprocess.run(["docker", "volume", "rm", cache], check=True, capture_output=True, timeout=60)
        return took


if __name__ == "__main__":
    main()
