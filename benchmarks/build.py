"""What building through Binder costs: POST until completed with its template registered, beside the bare tools.

    python -m benchmarks.build [--rounds 7] [--long-rounds 3] [--seconds 29]

The floor is `git clone` and `docker buildx build` of the same context and the same Dockerfile by hand. Each run has a
commit of its own, so that neither finds the other's layers, and the two take turns. `tiny` is a notebook with a
postBuild that prints a word, `long` one whose postBuild takes `--seconds`; `cached` is the request for a commit that
is built already. Prints a table, and JSON (median, minimum, maximum in seconds) as the last line.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from binder_client.client import Client
from binder_protocol.models import BuildStatus
from tests.support.building import HOST_CA, build_process, registry
from tests.support.git_server import GitServer, ServedRepository, git_server

LIMITS = {"tiny": 1.5, "long": 1.02, "cached": 0.150}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--long-rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=29)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="binder-benchmark-") as place:
        root = Path(place)
        with (
            git_server(root / "served") as server,
            registry(root / "home") as registry_url,
            build_process(root / "home", registry_url=registry_url) as service,
        ):
            bench = Bench(root, server, service.client)
            found = {
                "tiny": bench.compare("tiny", "echo built", options.rounds),
                "long": bench.compare("long", f"sleep {options.seconds}", options.long_rounds),
                "cached": {"binder": summary(bench.cached)},
            }
    report(found, LIMITS)


class Bench:
    """Repositories, both ways to build them, and the images to be removed."""

    def __init__(self, root: Path, server: GitServer, client: Client) -> None:
        self._root = root
        self._server = server
        self._client = client
        self.cached: list[float] = []

    def compare(self, name: str, command: str, rounds: int) -> dict[str, object]:
        """The times of both ways in turn; the first round of each warms up and isn't counted."""
        repository = self._server.create(f"bench/{name}", {"index.ipynb": "{}", "postBuild": f"#!/bin/sh\n{command}\n"})
        dockerfile = self._client.build.plan(repository.url).dockerfile
        times: dict[str, list[float]] = {"binder": [], "floor": []}
        for number in range(rounds + 1):
            ways = ["binder", "floor"] if number % 2 else ["floor", "binder"]
            for way in ways:
                repository.commit({"index.ipynb": json.dumps({"nonce": secrets.token_hex(8)})})
                took = self._binder(repository) if way == "binder" else self._floor(repository, dockerfile)
                if number:
                    times[way].append(took)
        ratios = [mine / bare for mine, bare in zip(times["binder"], times["floor"], strict=True)]
        return {**{way: summary(each) for way, each in times.items()}, "ratio": summary(ratios)}

    def _binder(self, repository: ServedRepository) -> float:
        began = time.perf_counter()
        build = self._client.build.start(repository.url)
        while not build.status.ended:
            time.sleep(0.005)
            build = self._client.build.status(build.name)
        took = time.perf_counter() - began
        assert build.status is BuildStatus.COMPLETED, build.failure
        assert build.template is not None
        began = time.perf_counter()
        again = self._client.build.start(repository.url)
        self.cached.append(time.perf_counter() - began)
        assert again.status is BuildStatus.COMPLETED
        remove(build.image)
        return took

    def _floor(self, repository: ServedRepository, dockerfile: str) -> float:
        network = self._root / "network"
        network.mkdir(exist_ok=True)
        if HOST_CA.exists():
            (network / "ca.crt").write_bytes(HOST_CA.read_bytes())
            (network / "pip.conf").touch()
            (network / "uv.toml").touch()
        tag = f"binder-benchmark:{secrets.token_hex(6)}"
        clone = self._root / secrets.token_hex(6)
        text = self._root / "Dockerfile"
        text.write_text(dockerfile)
        began = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", repository.url, str(clone)], check=True, timeout=60)
        words = ["docker", "buildx", "build", "--file", str(text), "--build-context", f"binder-network={network}"]
        subprocess.run([*words, "--tag", tag, str(clone)], check=True, capture_output=True, timeout=600)
        took = time.perf_counter() - began
        remove(tag)
        return took


def remove(image: str | None) -> None:
    """Takes an image away, if it is there."""
    subprocess.run(["docker", "image", "rm", "--force", str(image)], capture_output=True, timeout=60, check=False)


def summary(values: list[float]) -> dict[str, float]:
    """Median, minimum, maximum."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def report(found: dict[str, dict[str, object]], limits: dict[str, float]) -> None:
    """The table for people, then one line for programs."""
    print(f"{'':8}{'':8}{'median':>10}{'min':>10}{'max':>10}{'limit':>10}")
    for name, rows in found.items():
        for row, values in rows.items():
            assert isinstance(values, dict)
            limited = row == "ratio" or name == "cached"
            limit = f"{limits[name]:10.3f}" if limited else ""
            print(f"{name:8}{row:8}{values['median']:10.3f}{values['min']:10.3f}{values['max']:10.3f}{limit}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
