"""`build`, `cancel`, and the way of a build that commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from binder_client.cli import exits
from binder_client.cli.options import AsJson, AsOf, Plain, Quiet, Ref, Repository, Subdir
from binder_client.cli.output import Output, duration
from binder_client.cli.progress import progress, show
from binder_client.cli.session import session

if TYPE_CHECKING:
    from binder_client.client import Client
    from binder_protocol.models import Build

_MAX_SECRET = 65_536

Force = Annotated[bool, typer.Option("--force", help="Build even where this commit has an image.")]
Submodules = Annotated[bool, typer.Option("--submodules", help="Fetch the repository's submodules too.")]
CancelOnInterrupt = Annotated[
    bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the build instead of leaving it running.")
]
CredentialStdin = Annotated[
    bool, typer.Option("--credential-stdin", help="Read a private repository's credential from stdin.")
]

Secrets = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="NAME", help="Give the steps this kept credential (repeatable)."),
]


@dataclass(frozen=True)
class Source:
    """What to build, as the command line says it."""

    repository: str
    ref: str | None = None
    subdir: str | None = None
    force: bool = False
    submodules: bool = False
    credential: str | None = None
    as_of: date | None = None
    secrets: tuple[str, ...] = ()
    sbom: bool = False


@dataclass(frozen=True)
class Following:
    """How a build is followed."""

    quiet: bool = False
    plain: bool = False
    cancel_on_interrupt: bool = False


def build(
    context: typer.Context,
    repository: Repository,
    ref: Ref = None,
    subdir: Subdir = None,
    force: Force = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the build to its end.")] = True,
    cancel_on_interrupt: CancelOnInterrupt = False,
    submodules: Submodules = False,
    as_of: AsOf = None,
    credential_stdin: CredentialStdin = False,
    secret: Secrets = None,
    lock: Annotated[bool, typer.Option("--lock", help="Print the versions that were installed, alone.")] = False,
    sbom: Annotated[
        bool, typer.Option("--sbom", help="Have a bill of materials made, and print it alone, as CycloneDX JSON.")
    ] = False,
    plain: Plain = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build an image from a git repository.

    Shows the steps as they go on, then the image and the template to launch it by. A commit that was built before is
    there at once. Ctrl-C leaves the build running.

    \b
    Examples:
      binder-client build owner/repo
      binder-client build https://gitlab.com/group/project --ref v1.2
      binder-client build owner/repo --no-follow --json
      binder-client build owner/repo --lock > requirements.lock
    """
    output = Output(as_json=as_json)
    if ((lock or sbom) and not follow) or (lock and sbom):
        raise typer.BadParameter("--lock and --sbom print what the finished build has; one at a time")
    credential = secret_from_stdin() if credential_stdin else None
    day = None if as_of is None else as_of.date()
    source = Source(repository, ref, subdir, force, submodules, credential, day, tuple(secret or ()), sbom)
    with session(context, output) as client:
        if follow:
            built = built_from(client, source, Following(quiet, plain, cancel_on_interrupt), output)
        else:
            built = start(client, source)
        if lock:
            locked = client.build.lock(built.name, attempt=built.attempt)
            output.result(locked, locked.packages)
        elif sbom:
            output.json(client.build.sbom(built.name, attempt=built.attempt).document)
        else:
            output.result(built, _lines(built))


def cancel(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The build's name.")],
    as_json: AsJson = False,
) -> None:
    """Cancel a build."""
    output = Output(as_json=as_json)
    with session(context, output) as client:
        cancelled = client.build.cancel(name)
        output.result(cancelled, [f"{cancelled.name} is {cancelled.status}"])


def start(client: Client, source: Source) -> Build:
    """Start the build, or join the one that is under way."""
    return client.build.start(
        source.repository,
        ref=source.ref,
        subdir=source.subdir,
        force=source.force,
        credential=source.credential,
        submodules=source.submodules,
        as_of=source.as_of,
        secrets=source.secrets,
        sbom=source.sbom,
    )


def built_from(client: Client, source: Source, following: Following, output: Output) -> Build:
    """The completed build of `source`, followed to its end. Raises what it failed of."""
    from binder_client.waiting import completed

    begun = start(client, source)
    if not begun.status.ended:
        with (
            _interruptible(client, begun.name, following, output),
            progress(output, quiet=following.quiet, lines=following.plain) as shown,
        ):
            for entry in client.build.logs(begun.name, follow=True, attempt=begun.attempt):
                show(entry, shown)
            begun = client.build.wait(begun.name)
    return completed(begun)


def secret_from_stdin() -> str:
    """The first line of stdin, without its end."""
    return sys.stdin.readline(_MAX_SECRET).rstrip("\r\n")


@contextmanager
def _interruptible(client: Client, name: str, following: Following, output: Output) -> Iterator[None]:
    """On Ctrl-C: say how to go on, or cancel the build when asked so."""
    try:
        yield
    except KeyboardInterrupt:
        if following.cancel_on_interrupt:
            cancelled = client.build.cancel(name)
            output.note(f"{name} is {cancelled.status}")
        else:
            output.note(f"The build {name} goes on.")
            output.note(f"  follow it: binder-client logs {name} --follow")
            output.note(f"  cancel it: binder-client cancel {name}")
        raise typer.Exit(exits.INTERRUPTED) from None


def _lines(built: Build) -> Iterator[str]:
    if not built.status.ended:
        place = f", {built.position} in the queue" if built.position else ""
        yield f"{built.name} is {built.status}{place}"
        yield f"follow it: binder-client logs {built.name} --follow"
        return
    at = f" at {built.commit[:12]}" if built.commit else ""
    if built.cached or built.end_time is None:
        yield f"{built.display_name}{at} was built before"
    else:
        yield f"{built.display_name}{at} built in {duration((built.end_time - built.start_time).total_seconds())}"
    yield f"image     {built.image or '-'}"
    yield f"template  {built.template or '-'}"
    yield f"launch it: binder-client deploy {built.template or built.name}"
