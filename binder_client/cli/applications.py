"""`fetch`, `stop`, `extend`, `logs`, `templates`, `health`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from binder_client.cli import exits
from binder_client.cli.launching import milliseconds
from binder_client.cli.options import AsJson, Instance
from binder_client.cli.output import Output, since
from binder_client.cli.progress import plain
from binder_client.cli.session import session
from binder_protocol.errors import RequestError

if TYPE_CHECKING:
    from binder_protocol.models import WireModel

M = TypeVar("M", bound="WireModel")


def fetch(
    context: typer.Context,
    template: Annotated[str | None, typer.Argument(help="Only applications of this template.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that ended, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the running applications, of one template or of all.

    \b
    Examples:
      binder-client fetch
      binder-client fetch owner-repo --json
    """
    output = Output(as_json=as_json)
    with session(context, output) as client:
        page = client.deploy.status_all(template) if template else client.deploy.list()
        found = [each for each in page.all() if all_of_them or not each.status.ended]
        rows = (
            (f"{each.template_name}/{each.id}", each.status, since(each.start_time), each.location or "-")
            for each in found
        )
        output.results(found, ("APPLICATION", "STATUS", "AGE", "LOCATION"), rows)


def stop(context: typer.Context, application: Instance, as_json: AsJson = False) -> None:
    """Stop an application."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        stopped = client.deploy.stop(*instance(application))
        output.result(stopped, [f"{application} is {stopped.status}"])


def extend(
    context: typer.Context,
    application: Instance,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="How much longer: 30m, 2h.")],
    as_json: AsJson = False,
) -> None:
    """Keep an idle application longer.

    \b
    Example:
      binder-client extend owner-repo/k3v9 2h
    """
    output = Output(as_json=as_json)
    with session(context, output) as client:
        extended = client.deploy.extend(*instance(application), milliseconds(duration) or 0)
        until = f" until {extended.cull_time:%Y-%m-%d %H:%M} UTC" if extended.cull_time else ""
        output.result(extended, [f"{application} stays{until}"])


def logs(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The build's name.")] = None,
    application: Annotated[
        str | None, typer.Option("--application", metavar="TEMPLATE/ID", help="What this application prints, instead.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until its end.")] = False,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="An earlier attempt at the build.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the log of a build, or of an application.

    \b
    Examples:
      binder-client logs owner-repo --follow
      binder-client logs --application owner-repo/k3v9
    """
    output = Output(as_json=as_json)
    with session(context, output) as client, _interruptible():
        if application is not None and name is None:
            _print_log(output, client.deploy.logs(*instance(application), follow=follow), lambda entry: entry.text)
        elif name is not None and application is None:
            _print_log(output, client.build.logs(name, follow=follow, attempt=attempt), plain)
        else:
            raise RequestError("name a build, or an application with --application", suggestions=[])


def templates(
    context: typer.Context,
    search: Annotated[str | None, typer.Argument(help="Only names that hold this.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the templates that can be launched."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        found = list(client.registry.fetch_all(search=search).all())
        rows = ((each.name, str(each.revision), since(each.time_modified), each.image) for each in found)
        output.results(found, ("TEMPLATE", "REVISION", "AGE", "IMAGE"), rows)


def health(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the server's own checks (exit code 6: one says `down`)."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        found = client.health.status()
        rows = ((each.name, each.status, since(each.timestamp), each.message or "-") for each in found)
        output.results(found, ("CHECK", "STATUS", "AGE", "MESSAGE"), rows)
        if any(each.status == "down" for each in found):
            raise typer.Exit(exits.SERVER)


def instance(text: str) -> tuple[str, str]:
    """Template and id of `TEMPLATE/ID`; raises RequestError."""
    template, _, identity = text.partition("/")
    if not template or not identity or "/" in identity:
        raise RequestError(f"{text!r} names no application", suggestions=["give it as TEMPLATE/ID; `fetch` lists them"])
    return template, identity


def _print_log(output: Output, entries: Iterable[M], line: Callable[[M], str]) -> None:
    for entry in entries:
        if output.as_json:
            output.json(entry.wire(), indent=None)
        else:
            output.line(line(entry))


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(exits.INTERRUPTED) from None
