"""What commands say: results on stdout, everything else on stderr; nothing from a server unwashed."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from binder_client.text import clean
from binder_protocol.errors import BinderError

if TYPE_CHECKING:
    from binder_protocol.models import WireModel


class Output:
    """Writes for people, or JSON for programs (`as_json`)."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def result(self, model: WireModel, lines: Iterable[str]) -> None:
        """One model: as JSON, or in these lines."""
        if self.as_json:
            self.json(model.wire())
        else:
            for line in lines:
                self.line(line)

    def results(self, models: Iterable[WireModel], headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Several models: as a JSON array, or in a table."""
        if self.as_json:
            self.json([model.wire() for model in models])
        else:
            self._table(headings, rows)

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        # Only ASCII: JSON lets the controls above 127 through as they are.
        sys.stdout.write(json.dumps(value, indent=indent) + "\n")
        sys.stdout.flush()

    def line(self, text: str) -> None:
        sys.stdout.write(clean(text) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        sys.stderr.write(clean(text) + "\n")
        sys.stderr.flush()

    def error(self, error: BinderError) -> None:
        """The message, what failed with its last lines, and what may help; or the error's body as JSON."""
        if self.as_json:
            sys.stderr.write(json.dumps(error.body(), indent=2) + "\n")
            return
        for line in error.details.get("log") or []:
            self.note(f"  | {line}")
        if step := error.details.get("step"):
            self.note(f"  in step: {step}")
        heading = "\x1b[1;31mError:\x1b[0m" if _coloured(sys.stderr) else "Error:"
        sys.stderr.write(f"{heading} {clean(error.message)}\n")
        for suggestion in error.suggestions:
            self.note(f"- Possible fix: {suggestion}")

    def _table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = [list(headings), *([clean(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  ".join(padded).rstrip())


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody reads `stream` on a terminal that can redraw."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def tolerant(stream: TextIO | None) -> None:
    """Let `stream` replace what its encoding lacks: a log line must not end a command."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def duration(seconds: float) -> str:
    """`0.4 s`, `12.3 s`, `2 min 5 s`, `3 h 7 min`, `2 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {small_unit}"
    return f"{whole} s"


def since(moment: datetime) -> str:
    """How long ago `moment` is."""
    return duration(max((datetime.now(UTC) - moment).total_seconds(), 0))


def _coloured(stream: TextIO) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")
