"""How long JupyterLab takes until it answers after `docker run`: binder-base against a plain image, saving by saving.

The plain image is what people write themselves: Debian, `pip install jupyterlab` (the same versions), started with its
defaults. Each other row is binder-base with one saving undone, so that the difference is what that saving brings.
Rounds are interleaved, so that a busy machine is unkind to all of them alike.

    python benchmarks/jupyter_start.py [--rounds 9] [--json FILE] [--keep]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from binder_control.host.base_image import RECIPE
from binder_control.host.network import build_network

TARGET = 0.8
_ANSWER_SECONDS = 60
_TOKEN = "benchmark"
_SITE = "/opt/binder/env/lib/python3.*/site-packages"

_PLAIN = """\
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3-venv ca-certificates >/dev/null \\
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home jovyan
COPY requirements.txt /tmp/
RUN --mount=type=secret,id=ca --mount=type=secret,id=network \\
    if [ -s /run/secrets/network ]; then . /run/secrets/network; fi; \\
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \\
    python3 -m venv /opt/jupyter && \\
    /opt/jupyter/bin/pip install --quiet --no-cache-dir --constraint /tmp/requirements.txt jupyterlab
ENV PATH=/opt/jupyter/bin:/usr/local/bin:/usr/bin:/bin
USER jovyan
WORKDIR /home/jovyan
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser"]
"""

_UNDO = {
    "bytecode": f"find {_SITE} -name '*.pyc' -delete",
    "unchecked bytecode": f"python -m compileall -q -f --invalidation-mode timestamp {_SITE}",
    "grammar at first use": f"echo 'from .syntax_helpers import *' >$(echo {_SITE}/rfc3987_syntax/__init__.py) && "
    f"python -m compileall -q -f --invalidation-mode unchecked-hash {_SITE}/rfc3987_syntax",
    "no collector while importing": "sed -i '/^gc\\./d' /opt/binder/env/bin/jupyter-lab",
    "settings": "rm /opt/binder/env/etc/jupyter/jupyter_server_config.py",
}
"""What takes back each saving, in a container of binder-base."""


@dataclass(frozen=True)
class Row:
    """One image, and the times in seconds until its /lab page came."""

    name: str
    image: str
    command: tuple[str, ...]
    seconds: list[float]


def docker(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=text, capture_output=True, text=True, timeout=1_800, check=False
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout.strip()


def build(tag: str, dockerfile: str, *arguments: str) -> str:
    docker("buildx", "build", "--quiet", "--load", "--file=-", f"--tag={tag}", *arguments, str(RECIPE), text=dockerfile)
    return tag


def plain_image() -> str:
    """Debian is the one that binder-base itself stands on."""
    network = build_network(os.environ)
    origin = docker("inspect", "--format", '{{index .Config.Labels "org.binder.base-origin"}}', "binder-base")
    debian = "binder-debian:trixie" if origin.startswith("debootstrap") else origin
    arguments = [f"--build-arg=DEBIAN={debian}"]
    if network.ca:
        arguments.append(f"--secret=id=ca,src={network.ca}")
    return build("binder-benchmark:plain", _PLAIN, *arguments)


def rows() -> list[Row]:
    found = [
        Row("plain `pip install jupyterlab`", plain_image(), (), []),
        Row("binder-base", "binder-base:latest", (), []),
    ]
    for number, (saving, script) in enumerate(_UNDO.items()):
        # Undone in one layer, as root; the bytecode that Python writes at run time goes to the container's own layer.
        text = f"FROM binder-base:latest\nUSER root\nRUN {script}\nUSER jovyan\n"
        command = ("jupyter-lab", "--ip=0.0.0.0", "--no-browser") if saving == "settings" else ()
        found.append(Row(f"without {saving}", build(f"binder-benchmark:undo{number}", text), command, []))
    return found


def start(row: Row) -> float:
    """Seconds from `docker run` until the page came; the container is removed."""
    begun = time.perf_counter()
    container = docker("run", "--detach", "--env", f"JUPYTER_TOKEN={_TOKEN}", row.image, *row.command)
    try:
        address = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
        while time.perf_counter() - begun < _ANSWER_SECONDS:
            if answers(address):
                return time.perf_counter() - begun
            time.sleep(0.005)
        sys.exit(f"{row.name} doesn't answer:\n{docker('logs', container)}")
    finally:
        docker("rm", "--force", container)


def answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 8888, timeout=10)
    try:
        connection.request("GET", f"/lab?token={_TOKEN}")
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return False
    finally:
        connection.close()
    return answer.status == http.HTTPStatus.OK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--keep", action="store_true", help="keep the images for the next time")
    chosen = parser.parse_args()

    measured = rows()
    for _ in range(chosen.rounds):
        for row in measured:
            row.seconds.append(start(row))
    plain, base = (statistics.median(row.seconds) for row in measured[:2])
    print(f"{'':<40} {'median':>8} {'min':>8} {'max':>8} {'saved':>8}")
    for row in measured:
        middle = statistics.median(row.seconds)
        saved = f"{middle - base:8.3f}" if row.name.startswith("without") else ""
        print(f"{row.name:<40} {middle:8.3f} {min(row.seconds):8.3f} {max(row.seconds):8.3f} {saved}")
    print(f"ratio {base / plain:.2f} (at most {TARGET})")
    if chosen.json:
        result = {
            "ratio": base / plain,
            "target": TARGET,
            "seconds": {row.name: row.seconds for row in measured},
        }
        chosen.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not chosen.keep:
        docker("rmi", "--force", *(row.image for row in measured if row.image.startswith("binder-benchmark:")))
    sys.exit(base / plain > TARGET)


if __name__ == "__main__":
    main()
