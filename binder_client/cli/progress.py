"""How far a build or a launch is: steps with their durations, live on a terminal, line by line elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from binder_client.cli.output import Output, duration, is_terminal
from binder_client.text import clean

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from binder_protocol.models import LogLine

_TAIL = 6
_MOST_STEPS = 500


class Progress(AbstractContextManager["Progress"], Protocol):
    """What follows something that goes on."""

    def phase(self, name: str) -> None:
        """A new phase."""

    def step(self, name: str, status: str, seconds: float | None = None) -> None:
        """`status` is started, done, cached or failed."""

    def line(self, text: str) -> None:
        """What a step prints."""

    def note(self, text: str) -> None:
        """Binder's own words."""


def progress(output: Output, *, quiet: bool = False, lines: bool = False) -> Progress:
    """Live on a terminal, plain lines on stderr elsewhere, or nothing."""
    if quiet:
        return Silent()
    return Steps() if is_terminal(sys.stderr) and not lines else Lines(output)


def plain(entry: LogLine) -> str:
    """One entry of a build's log as a line."""
    if entry.kind == "phase":
        return phase_line(entry.phase or entry.text)
    if entry.kind == "step":
        return step_line(entry.step or entry.text, entry.status or "started", entry.seconds)
    if entry.kind == "end":
        return phase_line(entry.status or entry.text)
    return f"{'note: ' if entry.kind == 'note' else '   '}{entry.text}"


def phase_line(name: str) -> str:
    """The line for a new phase."""
    return f"== {name}"


def step_line(name: str, status: str, seconds: float | None) -> str:
    """The line for a step that starts or ends."""
    took = f" ({duration(seconds)})" if seconds is not None else ""
    return f"-> {name}" if status == "started" else f"{status}: {name}{took}"


def show(entry: LogLine, shown: Progress) -> None:
    """One entry of a build's log."""
    if entry.kind == "phase":
        shown.phase(entry.phase or entry.text)
    elif entry.kind == "step":
        shown.step(entry.step or entry.text, entry.status or "started", entry.seconds)
    elif entry.kind == "note":
        shown.note(entry.text)
    elif entry.kind == "line":
        shown.line(entry.text)


class Silent:
    """Says nothing."""

    def phase(self, name: str) -> None: ...

    def step(self, name: str, status: str, seconds: float | None = None) -> None: ...

    def line(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Lines(Silent):
    """One line for everything, on stderr."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def phase(self, name: str) -> None:
        self._output.note(phase_line(name))

    def step(self, name: str, status: str, seconds: float | None = None) -> None:
        self._output.note(step_line(name, status, seconds))

    def line(self, text: str) -> None:
        self._output.note(f"   {clean(text)}")

    def note(self, text: str) -> None:
        self._output.note(f"note: {text}")


@dataclass
class _Step:
    name: str
    status: str
    started: float
    indent: str = ""
    seconds: float | None = None


@dataclass
class _State:
    phase: str = ""
    steps: dict[str, _Step] = field(default_factory=dict)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))


class Steps:
    """A list of steps that is drawn anew as they go on, with the last lines of the present one; the list stays."""

    def __init__(self) -> None:
        self._state = _State()
        self._ending = ExitStack()
        self._console: Console | None = None
        self._over = False

    def phase(self, name: str) -> None:
        self._finish_phase()
        self._state.phase = name
        self._state.tail.clear()
        if name != "finished":
            self.step(name, "started")

    def step(self, name: str, status: str, seconds: float | None = None) -> None:
        steps, name = self._state.steps, clean(name)
        indent = "  " if self._state.phase and name != self._state.phase else ""
        step = steps.setdefault(name, _Step(name, status, time.monotonic(), indent))
        step.status, step.seconds = status, seconds
        if status != "started":
            self._state.tail.clear()
            if step.seconds is None:
                step.seconds = time.monotonic() - step.started
        if len(steps) > _MOST_STEPS:
            del steps[next(iter(steps))]

    def line(self, text: str) -> None:
        self._state.tail.append(clean(text))

    def note(self, text: str) -> None:
        if self._console is not None:
            self._console.print(clean(text), markup=False, highlight=False)

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        self._console = console = Console(stderr=True)
        live = Live(get_renderable=self._drawn, console=console, refresh_per_second=8, vertical_overflow="visible")
        self._ending.enter_context(live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.tail.clear()
        if kind is None:
            self._finish_phase()
        self._over = True
        self._ending.close()

    def _finish_phase(self) -> None:
        running = self._state.steps.get(self._state.phase)
        if running is not None and running.status == "started":
            self.step(running.name, "done")

    def _drawn(self) -> RenderableType:
        """As much of the end as the terminal shows; all of it when nothing more comes. Another thread asks for it."""
        from rich.text import Text

        width, height = self._console.size if self._console is not None else (80, 24)
        rows = [_row(step, width) for step in list(self._state.steps.values())]
        rows += [Text(f"    {line[: max(width - 5, 10)]}", style="dim") for line in tuple(self._state.tail)]
        if not self._over:
            rows = rows[-max(height - 1, 1) :]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(rows)


def _row(step: _Step, width: int) -> Text:
    from rich.text import Text

    mark, style = _MARKS.get(step.status, ("•", "cyan"))
    seconds = step.seconds if step.seconds is not None else time.monotonic() - step.started
    took = "cached" if step.status == "cached" else duration(seconds)
    room = max(width - len(step.indent) - len(took) - 4, 10)
    name = step.name if len(step.name) <= room else step.name[: room - 1] + "…"
    return Text.assemble((f"{step.indent}{mark} ", style), (name, "" if step.indent else "bold"), (f"  {took}", "dim"))


_MARKS = {"done": ("✓", "green"), "cached": ("✓", "green"), "failed": ("✗", "red")}
