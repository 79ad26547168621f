"""The commands and how they hang together."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from binder_client.cli import account, applications, building, credentials, launching, planning
from binder_client.cli.exits import EXPLAINED
from binder_client.cli.output import tolerant
from binder_client.cli.session import Choice

_HELP = """Build repositories, launch and open them, on a Binder server.

    \b
    First:
      binder-client login https://binder.example.org
      binder-client launch owner/repo --open

    The server is named by --url, --profile, BINDER_URL (with the key in BINDER_API_KEY) or `login`. On the host of
    a suite nothing of this is needed. Results go to stdout, progress and errors to stderr.
    """


class _Operations(TyperGroup):
    """`api`. Its commands come from the table of operations, whose models take 0.3 s to load: only when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        self._load()
        return list(super().list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        if not self.commands:
            from binder_client.cli import raw

            self.commands.update(raw.commands())


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"binder-client {version('binder')}")
        raise typer.Exit


def _root(
    context: typer.Context,
    url: Annotated[str | None, typer.Option("--url", help="The server's address.  [env: BINDER_URL]")] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="A server that `login` remembers.  [env: BINDER_PROFILE]")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for each request.")] = 30,
    version: Annotated[  # noqa: ARG001  its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Choice(url, profile, timeout)


def _make() -> typer.Typer:
    plain: dict[str, Any] = {"rich_markup_mode": None, "no_args_is_help": True, "epilog": EXPLAINED}
    root = typer.Typer(name="binder-client", pretty_exceptions_enable=False, **plain)
    root.callback(help=_HELP)(_root)
    for command in (
        building.build,
        launching.deploy,
        launching.launch,
        applications.fetch,
        applications.logs,
        applications.stop,
        applications.extend,
        applications.templates,
        planning.plan,
        building.cancel,
        applications.health,
        account.login,
    ):
        root.command()(command)
    root.add_typer(credentials.commands(), name="credentials", epilog=EXPLAINED)
    raw_help = "Call any operation as it is, answered in JSON."
    root.add_typer(typer.Typer(cls=_Operations, help=raw_help, **plain), name="api")
    return root


app = _make()


def main() -> None:
    """The console script."""
    tolerant(sys.stdout)
    tolerant(sys.stderr)
    try:
        app()
    finally:
        _close_stdout()


def _close_stdout() -> None:
    """Write out what is left; a reader who went away, as `head` does, is no failure worth words."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
