"""A program that was started, followed to its end: its output line by line, its time and its group under control."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

TICK_SECONDS = 0.1
_CHUNK = 65_536


class Cancelled(Exception):
    """The work was cancelled by whoever asked for it."""


class DeadlinePassed(Exception):
    """The work took longer than it may."""


def follow(
    process: subprocess.Popen[bytes],
    *,
    seconds: float,
    cancel: threading.Event | None = None,
    on_output: Callable[[bytes], None] | None = None,
    on_error: Callable[[bytes], None] | None = None,
    watch: Callable[[], None] | None = None,
    grace: float = 0.0,
) -> int:
    """The exit code of `process`, whose output goes to the callbacks in chunks as it comes.

    `process` must have been started with `start_new_session=True`. Whatever ends the wait (`Cancelled` within a tick
    of `cancel`, `DeadlinePassed`, an exception of a callback, or of `watch`, which is called about once a tick),
    nothing of the process's group runs afterwards; with `grace` it is asked to end first, and given so many seconds.
    """
    deadline = time.monotonic() + seconds
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            for stream, sink in ((process.stdout, on_output), (process.stderr, on_error)):
                if stream is not None:
                    selector.register(stream.fileno(), selectors.EVENT_READ, sink or _forget)
            next_watch = 0.0
            while selector.get_map():
                now = time.monotonic()
                _check(cancel, now, deadline)
                if watch is not None and now >= next_watch:
                    watch()
                    next_watch = now + TICK_SECONDS
                _turn(selector, process)
    except BaseException:
        end_group(process, grace)
        raise
    finally:
        os.close(ended)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    return process.wait()


def end_group(process: subprocess.Popen[bytes], grace: float = 0.0) -> None:
    """Ends every process of the group and reaps the first; with `grace` seconds it is asked before it is killed."""
    if process.returncode is not None:
        return
    if grace:
        _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and os.waitid(os.P_PID, process.pid, _LOOK) is None:
            time.sleep(0.02)
    _signal(process, signal.SIGKILL)
    process.wait()


# Looks whether the process has ended without reaping it: as long as it isn't reaped, its group's id stays its own.
_LOOK = os.WEXITED | os.WNOWAIT | os.WNOHANG


def _check(cancel: threading.Event | None, now: float, deadline: float) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
    if now > deadline:
        raise DeadlinePassed


def _turn(selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
    for key, _ in selector.select(TICK_SECONDS):
        if key.data is None:
            # What the program left running would hold its output open.
            _signal(process, signal.SIGKILL)
            selector.unregister(key.fd)
            continue
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data(chunk)
        else:
            selector.unregister(key.fd)


def _forget(chunk: bytes) -> None:
    """Where nobody wants the output, it is still read, so that the program doesn't wait."""


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
