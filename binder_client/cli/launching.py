"""`deploy` and `launch`."""

from __future__ import annotations

import os
import re
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from binder_client.cli import exits
from binder_client.cli.building import (
    CancelOnInterrupt,
    CredentialStdin,
    Following,
    Force,
    Source,
    Submodules,
    built_from,
    secret_from_stdin,
)
from binder_client.cli.options import (
    AsJson,
    Cpu,
    CullTimeout,
    Environment,
    MaxAge,
    Memory,
    Open,
    Plain,
    Quiet,
    Ref,
    Repository,
    Subdir,
    Wait,
)
from binder_client.cli.output import Output
from binder_client.cli.progress import Progress, progress
from binder_client.cli.session import session
from binder_protocol.errors import RequestError

if TYPE_CHECKING:
    from binder_client.client import Client
    from binder_protocol.models import Application, Limits

_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Launch:
    """How to launch, as the command line says it."""

    revision: int | None = None
    cull_timeout: str | None = None
    max_age: str | None = None
    environment: tuple[str, ...] = ()
    memory: str | None = None
    cpu: str | None = None
    wait: bool = True
    wait_seconds: float = 600
    quiet: bool = False
    plain: bool = False


WaitSeconds = Annotated[float, typer.Option("--wait-seconds", min=1, help="How long to wait for it.")]


def deploy(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="A template, as `templates` lists it.")],
    revision: Annotated[int | None, typer.Option("--revision", help="An older revision of the template.")] = None,
    cull_timeout: CullTimeout = None,
    max_age: MaxAge = None,
    environment: Environment = None,
    memory: Memory = None,
    cpu: Cpu = None,
    wait: Wait = True,
    wait_seconds: WaitSeconds = 600,
    open_it: Open = False,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Launch an application from a template and print its location.

    \b
    Examples:
      binder-client deploy owner-repo --open
      binder-client deploy owner-repo --cull-timeout 30m --env DEBUG=1
      location=$(binder-client deploy owner-repo --quiet)
    """
    output = Output(as_json=as_json)
    names = tuple(environment or ())
    launch = Launch(revision, cull_timeout, max_age, names, memory, cpu, wait, wait_seconds, quiet, plain)
    with session(context, output) as client:
        application = launched(client, template, launch, output)
        output.result(application, _lines(application))
        if open_it:
            _open(application)


def launch(
    context: typer.Context,
    repository: Repository,
    ref: Ref = None,
    subdir: Subdir = None,
    force: Force = False,
    submodules: Submodules = False,
    credential_stdin: CredentialStdin = False,
    cancel_on_interrupt: CancelOnInterrupt = False,
    cull_timeout: CullTimeout = None,
    max_age: MaxAge = None,
    environment: Environment = None,
    memory: Memory = None,
    cpu: Cpu = None,
    wait: Wait = True,
    wait_seconds: WaitSeconds = 600,
    open_it: Open = False,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build a repository and launch it: `build` and `deploy` in one.

    \b
    Examples:
      binder-client launch owner/repo --open
      binder-client launch owner/repo --ref v1.2 --memory 2G
    """
    output = Output(as_json=as_json)
    credential = secret_from_stdin() if credential_stdin else None
    source = Source(repository, ref, subdir, force, submodules, credential)
    names = tuple(environment or ())
    wanted = Launch(None, cull_timeout, max_age, names, memory, cpu, wait, wait_seconds, quiet, plain)
    with session(context, output) as client:
        built = built_from(client, source, Following(quiet, plain, cancel_on_interrupt), output)
        application = launched(client, built.template or built.name, wanted, output)
        output.result(application, _lines(application))
        if open_it:
            _open(application)


def launched(client: Client, template: str, wanted: Launch, output: Output) -> Application:
    """The launched application, at once or when it answers. Raises what it failed of."""
    application = client.deploy.deploy(
        template,
        revision=wanted.revision,
        cull_timeout=milliseconds(wanted.cull_timeout),
        max_age=milliseconds(wanted.max_age),
        environment=_environment(wanted.environment),
        resources=_limits(wanted),
    )
    if not wanted.wait or application.location:
        return application
    with _interruptible(application, output), progress(output, quiet=wanted.quiet, lines=wanted.plain) as shown:
        observed = _Observed(shown)
        observed(application)
        return client.deploy.wait(template, application.id, timeout=wanted.wait_seconds, observe=observed)


def milliseconds(duration: str | None) -> int | None:
    """`90s`, `30m`, `2h`, `1d`, `500ms` in ms; raises RequestError for anything else."""
    if duration is None:
        return None
    match = _DURATION.fullmatch(duration.strip())
    if match is None:
        raise RequestError(
            f"{duration!r} is no duration", suggestions=["give a number with ms, s, m, h or d: 90s, 30m, 2h"]
        )
    return int(match[1]) * _MILLISECONDS[match[2]]


class _Observed:
    """Shows each new status of an application as a step."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._status: str | None = None

    def __call__(self, application: Application) -> None:
        if application.status == self._status:
            return
        self._status = application.status
        took = application.timings.get(application.status)
        if application.status.ended:
            self._shown.step(application.status, "failed", took)
        elif application.location:
            self._shown.step(application.status, "done", took)
        else:
            self._shown.phase(application.status)


def _environment(given: tuple[str, ...]) -> Mapping[str, str] | None:
    variables: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            if name not in os.environ:
                raise RequestError(f"there is no variable {name!r} to pass on", suggestions=["give it as NAME=VALUE"])
            value = os.environ[name]
        variables[name] = value
    return variables or None


def _limits(wanted: Launch) -> Limits | None:
    from binder_client.calls import request_model
    from binder_protocol.models import Limits

    if wanted.memory is None and wanted.cpu is None:
        return None
    return request_model(Limits, memory=wanted.memory, cpu=wanted.cpu)


@contextmanager
def _interruptible(application: Application, output: Output) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        instance = f"{application.template_name}/{application.id}"
        output.note(f"The application {instance} goes on starting.")
        output.note(f"  see it:  binder-client fetch {application.template_name}")
        output.note(f"  stop it: binder-client stop {instance}")
        raise typer.Exit(exits.INTERRUPTED) from None


def _lines(application: Application) -> Iterator[str]:
    """The location alone, so that a script can take it as it is."""
    if application.location:
        yield application.location
    else:
        yield f"{application.template_name}/{application.id} is {application.status}"


def _open(application: Application) -> None:
    if application.location and application.location.startswith(("http://", "https://")):
        webbrowser.open(application.location)
