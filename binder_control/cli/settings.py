"""Commands about configuration and keys."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from binder_control.cli.session import print_json, say, session_of
from binder_control.errors import ControlError

config = typer.Typer(help="Show and check the configuration.", invoke_without_command=True)
keys = typer.Typer(help="Show or renew the API key.", no_args_is_help=True)


@config.callback()
def show(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every setting that is in effect, and where it comes from. Secrets are hidden."""
    if context.invoked_subcommand is not None:
        return
    from binder_control.config import values

    session = session_of(context)
    found = list(values(session.configuration, session.environ))
    if as_json:
        print_json([dataclasses.asdict(each) for each in found])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("section", "setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for each in found:
        known = each.source == "default"
        name = each.name.replace("_", "-")
        table.add_row(each.section, name, Text(_plain(each.value)), Text(each.source, style="dim" if known else "cyan"))
    Console().print(table)


@config.command("path")
def path(context: typer.Context) -> None:
    """Print the name of the configuration file."""
    from binder_control.config import config_file

    print(config_file(session_of(context).environ))


@config.command("check")
def check(context: typer.Context) -> None:
    """Look for mistakes; ends with 78 where there are any."""
    configuration = session_of(context).configuration
    where = configuration.file if configuration.file.exists() else f"{configuration.file} (not there: all defaults)"
    say(f"no mistakes in {where}")


@keys.command("show")
def show_key(context: typer.Context) -> None:
    """Print the API key, alone."""
    key = session_of(context).configuration.key
    if key is None:
        raise ControlError("there is no API key yet", "binder-control keys new", "binder-control start-all")
    print(key)


@keys.command("new")
def new_key(context: typer.Context) -> None:
    """Replace the API key. The old one is refused once the services are restarted."""
    session = session_of(context)
    paths = session.configuration.paths
    paths.prepare()
    paths.new_key()
    session.reload()
    print(session.configuration.key)
    if session.suite.supervisor.running():
        say("the services know the old key until they are restarted: binder-control restart")


def _plain(value: object) -> str:
    return "" if value is None else str(value)
