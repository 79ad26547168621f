"""`login`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from binder_client.cli.building import secret_from_stdin
from binder_client.cli.output import Output
from binder_client.cli.session import Choice, connect, reported


def login(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="The server's address.")],
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from stdin instead of asking.")] = False,
) -> None:
    """Check a server's key and remember both.

    They are kept in a file that only you can read, for the profile of `--profile`, or the default one.
    `binder-control keys show` prints the key on the server's host.

    \b
    Examples:
      binder-client login https://binder.example.org
      binder-client --profile lab login https://lab.example.org --key-stdin < key
    """
    output = Output()
    with reported(output):
        from binder_client import config
        from binder_client.address import base_url

        address = base_url(url)
        key = secret_from_stdin() if key_stdin else _asked(address)
        choice = context.find_object(Choice) or Choice()
        entry = config.Server(address, key.strip() or None)
        with connect(entry, choice.timeout) as client:
            client.build.status_all(limit=1)
        path, profile = config.default_path(), choice.profile or config.DEFAULT_PROFILE
        config.save(path, profile, entry)
        output.note(f"{address} takes the key; it is kept in {path} as profile {profile}")


def _asked(address: str) -> str:
    if not sys.stdin.isatty():
        from binder_protocol.errors import RequestError

        raise RequestError("there is no terminal to ask for the key", suggestions=["pass it in: --key-stdin < FILE"])
    return str(typer.prompt(f"API key of {address}", hide_input=True, err=True))
