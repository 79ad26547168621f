"""`credentials`: what the build service keeps sealed for private repositories, package indexes and builds."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from binder_client.cli.options import AsJson
from binder_client.cli.output import Output, since
from binder_client.cli.session import session

if TYPE_CHECKING:
    from binder_protocol.models import Credential

_MAX_SECRET = 65_536
_HELP = """Keep the credentials that builds name.

    A secret is read from stdin, or asked for on a terminal; it never leaves the server again.
    """

Name = Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and hyphens.")]


class Kind(StrEnum):
    """As in the protocol, whose models take longer to load than this command's help."""

    GIT = "git"
    INDEX = "index"
    VALUE = "value"


def put(
    context: typer.Context,
    name: Name,
    kind: Annotated[Kind, typer.Option("--kind", help="What it is for.")],
    host: Annotated[str | None, typer.Option("--host", help="git: the host that may be told.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="index: the address of its simple API.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="index: who logs in.  [default: __token__]")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a credential, or change it.

    \b
    Examples:
      binder-client credentials put lab --kind git --host git.example.org < token
      binder-client credentials put wheels --kind index --url https://pypi.example.org/simple --user lab
      binder-client credentials put licence --kind value < licence.pem
    """
    output = Output(as_json=as_json)
    secret = _secret()
    with session(context, output) as client:
        from binder_protocol.models import CredentialKind

        kept = client.build.credential_put(
            name, kind=CredentialKind(kind.value), secret=secret, host=host, url=url, user=user
        )
        output.result(kept, [f"{kept.name} is kept"])


def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """List them, without their secrets."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        found = list(client.build.credentials().all())
        rows = [(each.name, each.kind, _where(each), f"{since(each.changed)} ago") for each in found]
        output.results(found, ("NAME", "KIND", "FOR", "CHANGED"), rows)


def remove(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove a credential."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        removed = client.build.credential_remove(name)
        output.result(removed, [f"{removed.name} is removed"])


def commands() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=_HELP)
    group.command("put")(put)
    group.command("list")(list_all)
    group.command("remove")(remove)
    return group


def _secret() -> str:
    """All of stdin but its last line's end: a key has several lines. On a terminal one line, not shown."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Secret", hide_input=True, err=True)
        return asked
    text = sys.stdin.read(_MAX_SECRET)
    return text.removesuffix("\n").removesuffix("\r")


def _where(credential: Credential) -> str:
    return credential.host or credential.url or "-"
