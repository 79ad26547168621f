"""What Python environments cost through Binder, beside the Dockerfile that most people would write.

    python -m benchmarks.environments [--rounds 3] [--only forty notebook shared]

`forty`: a requirements.txt of 40 packages with wheels, from POST until completed, against `docker buildx build` of
`FROM python`, COPY, `pip install -r`, COPY. Both have warm cache mounts, as far as they have any, and no layer of the
installation: each run has a requirements.txt of its own, by a comment, and the two take turns. `first` is the first
build of a repository with the same packages and one that has no wheel, which is installed from a cache of its own, cold
then; `notebook` is a commit to it that touches a notebook alone; `shared` is another repository with the packages of
`forty`. `size` is what the image adds to the base, by what its site-packages do. Prints a table, and JSON (median,
minimum, maximum; seconds, or ratios) as the last line.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.build import remove, summary
from binder_build.environment_images import ENVIRONMENTS
from binder_build.settings import BuildSettings
from binder_client.client import Client
from binder_protocol.models import Build, BuildStatus
from tests.support.building import HOST_CA, build_process, registry
from tests.support.git_server import GitServer, ServedRepository, git_server

FORTY = (Path(__file__).parent / "forty.txt").read_text()
BASE = str(BuildSettings.model_fields["base_image"].default)
LIMITS = {"forty/ratio": 0.5, "notebook/binder": 3.0, "notebook/ratio": 1 / 20, "size/ratio": 1.1}
PARTS = ("forty", "notebook", "shared")
_SITE = "/opt/binder/env/lib/python3.13/site-packages"
_PYTHON = "binder-benchmark-python"
_PLAIN_PYTHON = """\
FROM binder-debian:trixie
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3 python3-pip ca-certificates
ENV PIP_BREAK_SYSTEM_PACKAGES=1
"""
_PLAIN = """\
FROM binder-benchmark-python
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=bind,from=network,source=ca.crt,target=/tmp/ca.crt PIP_CERT=/tmp/ca.crt \
 pip install --no-cache-dir -r requirements.txt
COPY . .
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="binder-benchmark-") as place:
        root = Path(place)
        with (
            git_server(root / "served") as server,
            registry(root / "home") as registry_url,
            build_process(root / "home", registry_url=registry_url) as service,
        ):
            bench = Bench(root, server, service.client)
            try:
                found = bench.run(options.only, options.rounds)
            finally:
                bench.clean()
    report(found)


class Bench:
    """Repositories, both ways to build them, and the images to be removed."""

    def __init__(self, root: Path, server: GitServer, client: Client) -> None:
        self._root = root
        self._server = server
        self._client = client
        self._images: list[str] = []
        (root / "network").mkdir()
        (root / "network" / "ca.crt").write_bytes(HOST_CA.read_bytes() if HOST_CA.exists() else b"")
        self._docker("buildx", "build", "--tag", _PYTHON, "-", text=_PLAIN_PYTHON)

    def run(self, only: list[str], rounds: int) -> dict[str, dict[str, float]]:
        """What was asked for, by names as in LIMITS."""
        found: dict[str, dict[str, float]] = {}
        if "forty" in only:
            forty, plain = self._forty(rounds)
            ratios = [mine / theirs for mine, theirs in zip(forty, plain, strict=True)]
            found |= {"forty/binder": summary(forty), "forty/plain": summary(plain), "forty/ratio": summary(ratios)}
        if "notebook" in only:
            first, notebook = self._notebook(rounds)
            found |= {"first/binder": summary([first]), "notebook/binder": summary(notebook)}
            found["notebook/ratio"] = summary([each / first for each in notebook])
        if "shared" in only:
            shared, sizes = self._shared(rounds)
            found |= {"shared/binder": summary(shared), "size/ratio": summary(sizes)}
        return found

    def clean(self) -> None:
        """Takes all images away that were made here."""
        for image in [*self._images, _PYTHON]:
            remove(image)

    def _forty(self, rounds: int) -> tuple[list[float], list[float]]:
        """The plain way keeps no caches: Binder's alone are warmed up, by a build that isn't counted."""
        repository = self._server.create("bench/forty", {"index.ipynb": "{}", "requirements.txt": FORTY})
        self._binder(repository)
        times: dict[str, list[float]] = {"binder": [], "plain": []}
        for number in range(rounds):
            for way in ["binder", "plain"] if number % 2 else ["plain", "binder"]:
                repository.commit({"requirements.txt": f"# {secrets.token_hex(8)}\n{FORTY}"})
                took = self._binder(repository)[0] if way == "binder" else self._plain(repository)
                times[way].append(took)
        return times["binder"], times["plain"]

    def _notebook(self, rounds: int) -> tuple[float, list[float]]:
        text = f"# {secrets.token_hex(8)}\n{FORTY}docopt==0.6.2\n"
        repository = self._server.create(f"bench/{secrets.token_hex(6)}", {"requirements.txt": text})
        first, _ = self._binder(repository)
        times = []
        for _ in range(rounds):
            repository.commit({"index.ipynb": json.dumps({"nonce": secrets.token_hex(8)})})
            times.append(self._binder(repository)[0])
        return first, times

    def _shared(self, rounds: int) -> tuple[list[float], list[float]]:
        text = f"# {secrets.token_hex(8)}\n{FORTY}"
        self._binder(self._server.create(f"bench/{secrets.token_hex(6)}", {"requirements.txt": text}))
        times, sizes = [], []
        for number in range(rounds):
            repository = self._server.create(f"bench/{secrets.token_hex(6)}", {"requirements.txt": text})
            took, build = self._binder(repository)
            lines = [line.text for line in self._client.build.logs(build.name)]
            assert any("nothing is installed" in line for line in lines), lines
            assert not any("install requirements.txt" in line for line in lines), lines
            times.append(took)
            if not number:
                image = str(build.image)
                sizes.append((self._size(image) - self._size(BASE)) / (self._site(image) - self._site(BASE)))
        return times, sizes

    def _binder(self, repository: ServedRepository) -> tuple[float, Build]:
        began = time.perf_counter()
        build = self._client.build.start(repository.url)
        while not build.status.ended:
            time.sleep(0.02)
            build = self._client.build.status(build.name)
        took = time.perf_counter() - began
        assert build.status is BuildStatus.COMPLETED, build.failure
        key = self._client.build.plan(repository.url).environment
        self._images += [str(build.image), f"{ENVIRONMENTS}:{key}"]
        return took, build

    def _plain(self, repository: ServedRepository) -> float:
        tag, clone = f"binder-benchmark:{secrets.token_hex(6)}", self._root / secrets.token_hex(6)
        began = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", repository.url, str(clone)], check=True, timeout=60)
        file = self._root / "Dockerfile"
        file.write_text(_PLAIN)
        context = f"network={self._root / 'network'}"
        words = ("buildx", "build", "--file", str(file), "--build-context", context, "--tag", tag, str(clone))
        self._docker(*words)
        took = time.perf_counter() - began
        remove(tag)
        return took

    def _size(self, image: str) -> int:
        return int(self._docker("image", "inspect", "--format", "{{.Size}}", image))

    def _site(self, image: str) -> int:
        """Bytes of the files, as the image's size counts them."""
        count = f"find {_SITE} -type f -printf '%s\\n' | awk '{{s+=$1}} END {{printf \"%d\", s}}'"
        return int(self._docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", count))

    def _docker(self, *words: str, text: str | None = None) -> str:
        done = subprocess.run(["docker", *words], input=text, text=True, capture_output=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


def report(found: dict[str, dict[str, float]]) -> None:
    """The table for people, then one line for programs."""
    print(f"{'':20}{'median':>10}{'min':>10}{'max':>10}{'limit':>10}")
    for name, values in found.items():
        limit = f"{LIMITS[name]:10.3f}" if name in LIMITS else ""
        print(f"{name:20}{values['median']:10.3f}{values['min']:10.3f}{values['max']:10.3f}{limit}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
