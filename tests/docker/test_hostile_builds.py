"""Builds that go wrong on purpose: each ends with its reason, leaves nothing, and hinders no other one."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from binder_protocol.models import Build, BuildStatus
from tests.support.building import Suite, build_suite
from tests.support.eventually import eventually
from tests.support.git_server import GitServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

MARK = f"86400.{secrets.randbelow(10**9):09}"
"""An argument of `sleep` by which the processes of these builds are known."""
PIDS, WORKERS, GIB = 96, 2, 2**30


class Hostile(NamedTuple):
    """A postBuild, the type of its failure, and what its message or its last lines say."""

    script: str
    type: str
    words: tuple[str, ...]


SH, PYTHON = "#!/bin/sh\n", "#!/usr/bin/env python3\n"
HOSTILE = {
    "fails": Hostile(SH + "echo reason >&2; exit 3\n", "build-step-failed", ("exit code 3", "reason")),
    "leaves a process behind": Hostile(
        SH + f"setsid nohup sleep {MARK} >/dev/null 2>&1 &\necho gone; exit 3\n", "build-step-failed", ("exit code 3",)
    ),
    "never ends": Hostile(SH + f"echo waiting; sleep {MARK}\n", "timeout", ("longer than 20 s", "waiting")),
    "never ends, and ignores signals": Hostile(
        "#!/bin/bash\ntrap '' TERM INT HUP\n" + f"while :; do sleep {MARK}; done\n", "timeout", ("longer than",)
    ),
    "forks without limit": Hostile(
        PYTHON
        + "import os\nfor count in range(100_000):\n    print(count, flush=True)\n    if not os.fork():\n"
        + f"        os.execlp('sleep', 'sleep', '{MARK}')\n",
        "build-step-failed",
        ("exit code 1", "Resource temporarily unavailable"),
    ),
    "is a fork bomb": Hostile(
        f"#!/bin/bash\nbomb() {{ bomb 2>/dev/null | bomb 2>/dev/null & }}\nbomb\nsleep {MARK}\n", "timeout", ()
    ),
    "fills the memory": Hostile(
        PYTHON + "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * 10_000_000)\n",
        "out-of-memory",
        ("more memory than it may",),
    ),
    "prints a flood": Hostile(SH + "yes flood | head -c 100000000; exit 3\n", "build-step-failed", ("exit code 3",)),
    "prints a line of 100 MB": Hostile(
        SH + "tr '\\0' x </dev/zero | head -c 100000000; exit 3\n", "build-step-failed", ("exit code 3", "xxxx")
    ),
    "prints bytes that are no text": Hostile(
        SH + r"printf '\377\376 \033]0;owned\007 \033[2J last\n'; exit 3" + "\n",
        "build-step-failed",
        ("\ufffd\ufffd", "last"),
    ),
    "prints what looks like the builder's records": Hostile(
        SH + """printf '{"vertexes":[{"digest":"sha256:0","name":"fake","error":"x"}]}\\n'; exit 3\n""",
        "build-step-failed",
        ("run postBuild ended with exit code 3", "vertexes"),
    ),
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    limits = {"memory": "300M", "pids": PIDS, "build_seconds": 20, "workers": WORKERS}
    with build_suite(tmp_path_factory.mktemp("home"), **limits) as suite:
        yield suite


@pytest.fixture(autouse=True)
def nothing_stays(suite: Suite, git: GitServer, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: no process, no file, and an ordinary build goes through at once."""
    yield
    eventually(lambda: not processes(), within=10, what="the end of every process of the build")
    assert suite.leftovers() == []
    next_one = git.create(f"ordinary/{secrets.token_hex(4)}", {"postBuild": SH + "test -d /tmp\n"})
    built = suite.completed(next_one.url)
    subprocess.run(["docker", "rmi", "--force", str(built.image)], check=True, capture_output=True)
    for status in (BuildStatus.QUEUED, BuildStatus.RUNNING):
        assert list(suite.client.build.status_all(status=status)) == []


def processes() -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if MARK in (each.info["cmdline"] or [])]


def failed(suite: Suite, git: GitServer, script: str, *, lasts: bool = False) -> Build:
    """The build of that postBuild, once it has failed; `lasts`: its processes are seen meanwhile."""
    source = git.create(f"hostile/{secrets.token_hex(4)}", {"postBuild": script})
    started = suite.client.build.start(source.url)
    if lasts:
        eventually(processes, within=14, what="a process of the build")
    build = started if started.status.ended else suite.ended(started.name, 60)
    assert build.status is BuildStatus.FAILED
    assert build.failure is not None
    return build


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_build_ends_with_its_reason(suite: Suite, git: GitServer, name: str) -> None:
    hostile = HOSTILE[name]
    build = failed(suite, git, hostile.script, lasts=hostile.type == "timeout")
    assert build.failure is not None
    assert (build.failure.type, build.failure.step) == (hostile.type, "run postBuild")
    assert build.failure.suggestions
    said = "\n".join([build.failure.message, *build.failure.log])
    for words in hostile.words:
        assert words in said
    log = suite.log(build)
    assert log[-1].status == "failed"
    assert sum(len(line.text) for line in log) < 4_000_000
    assert all(line.text.isprintable() for line in log)
    assert all(line.step in (None, "base image", "copy the repository", "run postBuild") for line in log)


def test_no_step_has_more_processes_than_it_may(suite: Suite, git: GitServer) -> None:
    build = failed(suite, git, HOSTILE["forks without limit"].script)
    counted = [int(line.text) for line in suite.log(build) if line.text.isdecimal()]
    assert 0 < max(counted) < PIDS * WORKERS, "until its own limit is set, a step has that of all steps together"


def test_a_build_that_fills_the_disk_is_ended_and_its_files_go(
    suite: Suite, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that seems to have 3 GiB left, of which the limit leaves 1 GiB alone."""
    usage = shutil.disk_usage
    free = usage("/var/lib/docker").free
    used: list[int] = []

    def smaller(path: Path) -> object:
        real = usage(path)
        used.append(free - real.free)
        return real._replace(free=3 * GIB - used[-1])

    monkeypatch.setattr("binder_build.images.builder.shutil.disk_usage", smaller)
    script = SH + f"for each in $(seq 6); do fallocate -l 1G filler$each; sleep 0.5; done\nsleep {MARK}\n"
    build = failed(suite, git, script)
    monkeypatch.undo()
    assert build.failure is not None
    assert build.failure.type == "no-space"
    assert "must stay free" in build.failure.message
    assert GIB < max(used) < 6 * GIB
    eventually(lambda: free - usage("/var/lib/docker").free < GIB, within=30, what="the end of the build's files")
