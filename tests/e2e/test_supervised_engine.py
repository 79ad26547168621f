"""A machine without systemd on which no engine answers: binder-control runs one itself.

The machine is made of namespaces: its own network, its own /run and its own directory of the engine's data, so that the
engine of the machine around it is neither seen nor touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from binder_control.host.engine import search_path

CONTROL = Path(sys.executable).parent / "binder-control"
SCRIPT = r"""
ip link set lo up
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount --bind "$1" /var/lib/docker || exit 1
answers() { docker version >/dev/null 2>&1; }
answers && exit 1
"$2" start-all && exit 1
answers && exit 1
echo == without a base image nothing stays

"$2" start engine && answers || exit 1
tar -C / -c etc/hostname | docker import - binder-base:latest >/dev/null
"$2" start-all >/dev/null || exit 1
"$2" status || exit 1
echo == all of it runs

"$2" stop-all || exit 1
answers && exit 1
echo == all of it is stopped
"""


@pytest.mark.docker
def test_an_engine_is_started_first_and_stopped_last(tmp_path: Path) -> None:
    if os.geteuid() != 0 or Path("/run/systemd/system").is_dir() or not shutil.which("dockerd", path=search_path()):
        pytest.skip("needs root, an engine's program, and a machine without systemd")
    data, home = tmp_path / "docker", tmp_path / "home"
    data.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BINDER_", "DOCKER_"))}
    command = ["unshare", "--mount", "--net", "--fork", "--kill-child", "bash", "-c", SCRIPT, "bash"]

    done = subprocess.run(
        [*command, str(data), str(CONTROL)],
        env={**environ, "BINDER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("==")] == [
        "== without a base image nothing stays",
        "== all of it runs",
        "== all of it is stopped",
    ]
    table = done.stdout.split("==")[1]
    assert "there is no base image" in done.stderr
    rows = [line.split()[0] for line in table.splitlines() if "running" in line]
    assert rows == ["engine", "registry", "build", "deploy", "health", "front-door"]
