"""Readiness: every resource brings its own check, and the page is made of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from binder_protocol.errors import BinderError

log = structlog.get_logger()


@dataclass(frozen=True)
class Check:
    """`run` returns where all is well and raises where it isn't; it has `deadline` seconds."""

    name: str
    run: Callable[[], object]
    deadline: float = 3.0


@dataclass(frozen=True)
class Readiness:
    """The names of the checks that passed, and the reasons of those that didn't."""

    ok: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)


class Checks:
    """Runs checks side by side. One that hangs is not started again while it does: it costs one thread, no more."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)
        self._running: dict[str, asyncio.Future[str | None]] = {}

    async def run(self) -> Readiness:
        """The result of all checks, within the longest of their deadlines."""
        reasons = await asyncio.gather(*(self._reason(check) for check in self._checks))
        results = list(zip(self._checks, reasons, strict=True))
        return Readiness(
            ok=[check.name for check, reason in results if reason is None],
            failing={check.name: reason for check, reason in results if reason is not None},
        )

    async def _reason(self, check: Check) -> str | None:
        running = self._running.get(check.name)
        if running is None or running.done():
            running = self._running[check.name] = _on_thread(check)
        done, _ = await asyncio.wait({running}, timeout=check.deadline)
        return running.result() if done else f"no answer within {check.deadline:g} s"


def _on_thread(check: Check) -> asyncio.Future[str | None]:
    # A thread of its own: a hanging check must not use up those of the requests, nor hold up the end of the process.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def finish(reason: str | None) -> None:
        if not future.done():
            future.set_result(reason)

    def run() -> None:
        reason = _outcome(check)
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, reason)

    threading.Thread(target=run, name=f"check-{check.name}", daemon=True).start()
    return future


def _outcome(check: Check) -> str | None:
    try:
        check.run()
    except BinderError as error:
        return error.message
    except Exception as error:  # whatever a check raises means that it failed
        log.warning("a readiness check failed", check=check.name, exc_info=True)
        return f"{type(error).__name__}"
    return None
