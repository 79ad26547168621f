"""Options and arguments that several commands share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain lines on a terminal too, with the whole log.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result alone.")]
Repository = Annotated[str, typer.Argument(help="A git repository: owner/repo, or any https or ssh address.")]
Ref = Annotated[str | None, typer.Option("--ref", help="A branch, tag or commit.  [default: the default branch]")]
Subdir = Annotated[str | None, typer.Option("--subdir", help="Build this directory of the repository.")]
Open = Annotated[bool, typer.Option("--open", help="Open the application in a browser.")]
CullTimeout = Annotated[
    str | None, typer.Option("--cull-timeout", metavar="DURATION", help="Stop it after so long without use: 30m, 2h.")
]
MaxAge = Annotated[str | None, typer.Option("--max-age", metavar="DURATION", help="Stop it after so long: 8h, 1d.")]
Environment = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="A variable; without a value, your own one of that name."),
]
Memory = Annotated[str | None, typer.Option("--memory", help="Memory limit, such as 512M or 1.5Gi.")]
Cpu = Annotated[str | None, typer.Option("--cpu", help="CPU limit, such as 0.5 or 2.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the application answers.")]
Instance = Annotated[str, typer.Argument(metavar="TEMPLATE/ID", help="An application, as `fetch` lists it.")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DAY", help="No package published after this day."),
]
