"""The commands, and how their errors become words and exit codes.

Exit codes: 0 done · 1 failed · 2 wrong usage · 3 something doesn't run · 78 the configuration is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from binder_control.cli import lifecycle, machine, settings, view
from binder_control.cli.session import complain, make_session
from binder_control.errors import EXIT_CONFIG, EXIT_FAILED, ControlError
from binder_protocol.errors import BinderError

app = typer.Typer(
    name="binder-control",
    help="Run Binder on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("setup")(machine.setup)
app.command("start-all")(lifecycle.start_all)
app.command("stop-all")(lifecycle.stop_all)
app.command("start")(lifecycle.start)
app.command("stop")(lifecycle.stop)
app.command("restart")(lifecycle.restart)
app.command("run", hidden=True)(lifecycle.run)
app.command("status")(view.status)
app.command("logs")(view.logs)
app.command("doctor")(machine.doctor)
app.add_typer(settings.config, name="config")
app.add_typer(settings.keys, name="keys")


@app.callback()
def _binder_control(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", help="Where the suite keeps its things; ~/.binder or $BINDER_HOME.")
    ] = None,
) -> None:
    context.obj = make_session(home)


def main() -> None:
    """Runs the command line; the errors that we know end it with their words and exit code."""
    from binder_protocol.service.settings import ConfigError

    try:
        app()
    except ConfigError as error:
        complain(str(error), ["binder-control config check"])
        sys.exit(EXIT_CONFIG)
    except ControlError as error:
        complain(error.message, error.suggestions)
        sys.exit(error.exit_code)
    except BinderError as error:
        complain(error.message, error.suggestions)
        sys.exit(EXIT_FAILED)
