"""Commands that start and stop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from binder_control.cli.session import Session, print_json, progress, say, session_of
from binder_control.paths import Paths, home_of

Names = Annotated[list[str] | None, typer.Argument(help="Services; all of them where none is named.")]
_STOPPED = {True: "stopped", False: "nothing was running"}


class Backend(StrEnum):
    """Where applications run."""

    DOCKER = "docker"
    KUBERNETES = "kubernetes"
    MEMORY = "memory"


def start_all(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    backend: Annotated[
        Backend | None, typer.Option(help="Where applications run, until stop-all; for good: [deploy] backend.")
    ] = None,
) -> None:
    """Start everything, wait until it is ready, print address and key."""
    from binder_control.cli.machine import prepare_home

    session = session_of(context)
    with _told(session, backend):
        prepare_home(session)
        session.suite.start_all()
    _say_when_changed(session)
    configuration = session.configuration
    if as_json:
        print_json({"address": configuration.address, "key": configuration.key})
        return
    print(f"address  {configuration.address}")
    print(f"key      {configuration.key}")


def stop_all(
    context: typer.Context,
    applications: Annotated[bool, typer.Option("--applications", help="Stop the running applications too.")] = False,
) -> None:
    """Stop everything that start-all started. Applications go on unless told otherwise."""
    from binder_control.suite import stop_blindly
    from binder_protocol.service.settings import ConfigError

    session = session_of(context)
    try:
        suite = session.suite
    except ConfigError as error:
        if applications:
            raise
        say(f"{error}\nstopping what runs all the same")
        paths = Paths(home_of(session.environ))
        say(_STOPPED[stop_blindly(paths, progress)])
        paths.backend.unlink(missing_ok=True)
        return
    if applications:
        from binder_control.applications import stop_applications

        stopped = stop_applications(session.configuration)
        say(f"{stopped} application{'' if stopped == 1 else 's'} stopped")
    say(_STOPPED[suite.stop_all()])
    session.configuration.paths.backend.unlink(missing_ok=True)


def start(context: typer.Context, services: Names = None) -> None:
    """Start services, and wait until they are ready."""
    suite = session_of(context).suite
    suite.start(*(services or suite.programs))


def stop(context: typer.Context, services: Names = None) -> None:
    """Stop services; the others go on."""
    suite = session_of(context).suite
    suite.stop(*(services or suite.programs))


def restart(context: typer.Context, services: Names = None) -> None:
    """Stop services and start them again, with the configuration as it is now."""
    suite = session_of(context).suite
    names = services or list(suite.programs)
    if suite.supervisor.running():
        suite.stop(*names)
    suite.start(*names)


def run(context: typer.Context, service: Annotated[str, typer.Argument(help="The service to become.")]) -> None:
    """Become one service, in the foreground: for containers and for debugging. No supervision."""
    session = session_of(context)
    suite = session.suite
    session.configuration.paths.prepare()
    session.configuration.paths.ensure_key()
    (program,) = suite.named(service)
    program.write_files()
    os.execvpe(program.command[0], program.command, suite.environ)  # noqa: S606  this process becomes the service


@contextlib.contextmanager
def _told(session: Session, backend: Backend | None) -> Iterator[None]:
    """Within, and afterwards if anything runs then, that backend is the one of every command."""
    if backend is None:
        yield
        return
    paths = Paths(home_of(session.environ))
    paths.keep_backend(backend.value)
    session.add({"BINDER_DEPLOY_BACKEND": backend.value})
    try:
        yield
    except BaseException:
        from binder_control.supervisor import Supervisor

        if not Supervisor(paths).running():
            paths.backend.unlink(missing_ok=True)
        raise


def _say_when_changed(session: Session) -> None:
    if session.suite.changed():
        say("the configuration has changed since the suite was started: binder-control stop-all, then start-all")
