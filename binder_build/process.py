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
from typing import IO

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
    try:
        with selectors.DefaultSelector() as selector:
            for stream, sink in ((process.stdout, on_output), (process.stderr, on_error)):
                if stream is not None:
                    os.set_blocking(stream.fileno(), False)
                    selector.register(stream, selectors.EVENT_READ, sink)
            next_watch = 0.0
            while selector.get_map() or process.poll() is None:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                now = time.monotonic()
                if now > deadline:
                    raise DeadlinePassed
                if watch is not None and now >= next_watch:
                    watch()
                    next_watch = now + TICK_SECONDS
                if selector.get_map():
                    _read(selector)
                else:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(TICK_SECONDS)
    except BaseException:
        end_group(process, grace)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    end_group(process, 0)
    return process.returncode


def end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """Ends every process of the group: asked first where `grace` seconds are given, then killed. Reaps the first one."""
    if grace:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read(selector: selectors.BaseSelector) -> None:
    for key, _ in selector.select(TICK_SECONDS):
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
        chunk = os.read(stream.fileno(), _CHUNK)
        if not chunk:
            selector.unregister(stream)
        elif key.data is not None:
            key.data(chunk)
