"""What a commit costs that changes a notebook beside very many files, from POST until completed.

    python -m benchmarks.many_files [--rounds 3] [--files 30000]

`first` is the first build of the repository, `notebook` a commit that touches a notebook alone. Prints a table, and
JSON (median, minimum, maximum in seconds) as the last line.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from pathlib import Path

from benchmarks.build import remove, summary
from binder_client.client import Client
from binder_protocol.models import BuildStatus
from tests.support.building import build_process, registry
from tests.support.git_server import GitServer, ServedRepository, git_server

LIMIT = 3.0
_FOLDER = 1_000


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=30_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="binder-benchmark-") as place:
        root = Path(place)
        with (
            git_server(root / "served") as server,
            registry(root / "home") as registry_url,
            build_process(root / "home", registry_url=registry_url) as service,
        ):
            repository = many_files(server, options.files)
            first = built(service.client, repository)
            times = []
            for _ in range(options.rounds):
                repository.commit({"index.ipynb": json.dumps({"nonce": secrets.token_hex(8)})})
                times.append(built(service.client, repository))
    report({"first": summary([first]), "notebook": summary(times)})


def many_files(server: GitServer, count: int) -> ServedRepository:
    """A repository of `count` files that nobody built before."""
    repository = server.create(f"bench/{secrets.token_hex(6)}", {"index.ipynb": "{}"})
    nonce = secrets.token_hex(8)
    for number in range(count):
        place = repository.work / f"d{number // _FOLDER}" / f"{number}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"{number} {nonce}\n")
    repository.commit({})
    return repository


def built(client: Client, repository: ServedRepository) -> float:
    """The seconds that a build of its newest commit took."""
    began = time.perf_counter()
    build = client.build.start(repository.url)
    while not build.status.ended:
        time.sleep(0.02)
        build = client.build.status(build.name)
    took = time.perf_counter() - began
    assert build.status is BuildStatus.COMPLETED, build.failure
    phases = ", ".join(f"{each.phase.value} {each.seconds:.2f}" for each in build.timings if each.seconds is not None)
    print(f"{took:.2f} s: {phases}")
    remove(build.image)
    return took


def report(found: dict[str, dict[str, float]]) -> None:
    """The table for people, then one line for programs."""
    print(f"{'':10}{'median':>10}{'min':>10}{'max':>10}{'limit':>10}")
    for name, values in found.items():
        limit = f"{LIMIT:10.3f}" if name == "notebook" else ""
        print(f"{name:10}{values['median']:10.3f}{values['min']:10.3f}{values['max']:10.3f}{limit}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
