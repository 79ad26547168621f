"""Commands that show: status and logs."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from binder_control import logfiles
from binder_control.cli.session import print_json, session_of
from binder_control.errors import EXIT_NOT_RUNNING, ControlError

if TYPE_CHECKING:
    from binder_control.status import Row


def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show what runs, and how it is. Ends with 3 unless everything is well."""
    from binder_control.status import status as rows_of

    rows = rows_of(session_of(context).suite)
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        _table(rows)
    if not all(row.state == "running" and row.healthy is not False for row in rows):
        raise typer.Exit(EXIT_NOT_RUNNING)


def logs(
    context: typer.Context,
    service: Annotated[str | None, typer.Argument(help="One service; all of them where none is named.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many old lines.")] = 50,
) -> None:
    """Show what the services print."""
    session = session_of(context)
    paths = session.configuration.paths
    known = sorted(file.stem for file in paths.logs.glob("*.log"))
    if service is not None and service not in known:
        raise ControlError(f"there is no log of {service}", f"there are {', '.join(known) or 'none yet'}")
    names = known if service is None else [service]
    files = {name: paths.log(name) for name in names}
    # The followers stand at the end before the old lines are read: a line may come twice, none is lost.
    coming = logfiles.follow(files) if follow else iter(())
    for name, file in files.items():
        for line in logfiles.tail(file, lines):
            _print_line(name if service is None else None, line)
    try:
        for name, line in coming:
            _print_line(name if service is None else None, line)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print_line(name: str | None, line: str) -> None:
    print(line if name is None else f"{name:<11} {line}", flush=True)


def _table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading, side in (("service", "left"), ("state", "left"), ("pid", "right"), ("uptime", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for heading, side in (("cpu", "right"), ("memory", "right"), ("health", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name,
            Text(row.state, style="green" if row.state == "running" else "red"),
            str(row.pid or ""),
            "" if row.uptime is None else str(timedelta(seconds=round(row.uptime))),
            "" if row.cpu is None else f"{row.cpu:.0f} %",
            "" if row.memory is None else f"{row.memory / 2**20:.0f} MiB",
            Text(_health(row), style="green" if row.healthy else "red"),
        )
    Console().print(table)


def _health(row: Row) -> str:
    if row.healthy is None:
        return row.health
    return "ready" if row.healthy else f"not ready: {row.health}"
