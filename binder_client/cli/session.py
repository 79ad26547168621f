"""A command's surroundings: the server of the user's choice, and every failure as words and an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from binder_client.cli import exits
from binder_client.cli.output import Output
from binder_protocol.errors import BinderError, RequestError

if TYPE_CHECKING:
    from binder_client.client import Client
    from binder_client.config import Server


@dataclass(frozen=True)
class Choice:
    """The options in front of the command."""

    url: str | None = None
    profile: str | None = None
    timeout: float = 30


@contextmanager
def session(context: typer.Context, output: Output) -> Iterator[Client]:
    """A client of the chosen server. What goes wrong within is told, and ends the command with its exit code."""
    with reported(output):
        choice = context.find_object(Choice) or Choice()
        with connect(chosen(choice), choice.timeout) as client:
            yield client


@contextmanager
def reported(output: Output) -> Iterator[None]:
    """Tell what goes wrong within, and end the command with its exit code."""
    from binder_client.config import ConfigError

    try:
        yield
    except BinderError as error:
        output.error(error)
        raise typer.Exit(exits.exit_code(error)) from None
    except ConfigError as error:
        output.error(RequestError(error.message, suggestions=[error.suggestion]))
        raise typer.Exit(exits.USAGE) from None


def chosen(choice: Choice) -> Server:
    """The server that options, environment and configuration name."""
    from binder_client import config

    return config.server(os.environ, url=choice.url, profile=choice.profile)


def connect(server: Server, timeout: float) -> Client:
    """A client of `server`."""
    import stamina.instrumentation

    from binder_client.client import Client

    stamina.instrumentation.set_on_retry_hooks([])  # they would log each attempt to the user's terminal
    return Client(server.url, server.key, timeout=timeout)
