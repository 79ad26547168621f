"""A program followed to its end: its output, its time, its group."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from binder_build.process import Cancelled, DeadlinePassed, follow
from tests.support.eventually import eventually


def start(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def alive(place: Path) -> bool:
    return Path(f"/proc/{place.read_text().strip()}").exists()


def test_output_and_exit_code_come_back() -> None:
    out, err = bytearray(), bytearray()
    code = follow(start("echo out; echo err >&2; exit 3"), seconds=5, on_output=out.extend, on_error=err.extend)
    assert (code, bytes(out), bytes(err)) == (3, b"out\n", b"err\n")


def test_output_that_nobody_wants_blocks_nothing() -> None:
    assert follow(start("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2"), seconds=10) == 0


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    follow(start(f"sleep 60 & echo $! > {pid}"), seconds=20)
    assert time.monotonic() - began < 5
    eventually(lambda: not alive(pid))


@pytest.mark.parametrize("grace", [0.0, 0.3])
def test_the_whole_group_ends_at_the_deadline(tmp_path: Path, grace: float) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(DeadlinePassed):
        follow(start(f"trap '' TERM; sleep 60 & echo $! > {pid}; wait; sleep 60"), seconds=0.4, grace=grace)
    eventually(lambda: not alive(pid))


def test_cancel_is_noticed_within_a_moment() -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        follow(start("sleep 60"), seconds=60, cancel=cancel)
    assert time.monotonic() - began < 1.2
    timer.join()


def test_a_watcher_that_objects_ends_the_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def watch() -> None:
        if pid.exists() and pid.read_text().endswith("\n"):
            raise LookupError

    with pytest.raises(LookupError):
        follow(start(f"echo $$ > {pid}; exec sleep 60"), seconds=20, watch=watch)
    eventually(lambda: not alive(pid))
