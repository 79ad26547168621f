"""`plan`: of a repository by the server, of a folder by this program alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from binder_client.cli.building import secret_from_stdin
from binder_client.cli.options import AsJson, AsOf, Ref, Subdir
from binder_client.cli.output import Output
from binder_client.cli.session import reported, session
from binder_protocol.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from binder_protocol.models import Plan


def plan(
    context: typer.Context,
    repository: Annotated[
        str,
        typer.Argument(metavar="REPOSITORY|FOLDER", help="A git repository's address, or a folder on this machine."),
    ],
    ref: Ref = None,
    subdir: Subdir = None,
    as_of: AsOf = None,
    dockerfile: Annotated[bool, typer.Option("--dockerfile", help="Print the Dockerfile alone.")] = False,
    credential_stdin: Annotated[
        bool, typer.Option("--credential-stdin", help="Read a private repository's credential from stdin.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what would be built and why, without building.

    Which files decide and which have no effect, what is installed, the generated Dockerfile, what is there already.
    A folder is planned as it is, uncommitted changes and all, without a server or Docker.

    \b
    Examples:
      binder-client plan .
      binder-client plan owner/repo
      binder-client plan owner/repo --dockerfile > Dockerfile
    """
    output = Output(as_json=as_json)
    day = None if as_of is None else as_of.date()
    with reported(output):
        from binder_client.folders import folder_of, plan_folder

        folder = folder_of(repository)
        if folder is not None:
            if ref is not None or credential_stdin:
                raise RequestError(
                    "a folder is planned as it is", suggestions=["leave out --ref and --credential-stdin"]
                )
            _show(output, plan_folder(folder, subdir=subdir, as_of=day), folder, dockerfile=dockerfile)
            return
    credential = secret_from_stdin() if credential_stdin else None
    with session(context, output) as client:
        planned = client.build.plan(repository, ref=ref, subdir=subdir, credential=credential, as_of=day)
        _show(output, planned, None, dockerfile=dockerfile)


def _show(output: Output, planned: Plan, folder: Path | None, *, dockerfile: bool) -> None:
    text = planned.dockerfile.splitlines()
    output.result(planned, text if dockerfile else [*_lines(planned, folder), "", *text])


def _lines(planned: Plan, folder: Path | None) -> Iterator[str]:
    if folder is not None:
        yield f"folder       {planned.repository}, as it is now, committed or not"
    else:
        yield f"name         {planned.name}"
    if planned.commit:
        built = ", built before: a build is answered at once" if planned.built else ""
        yield f"commit       {planned.commit}{built}"
    yield f"buildpack    {planned.buildpack}: {planned.reason}"
    yield f"files        {', '.join(planned.files) or '-'}"
    for name, version in planned.versions.items():
        yield f"{name:<12} {version}"
    if planned.base:
        yield f"base         {planned.base}"
    if planned.environment:
        ready = {True: " is there already: nothing is installed", False: " has to be made", None: ""}
        yield f"environment  {planned.environment}{ready[planned.environment_ready]}"
    if planned.command:
        yield f"command      {' '.join(planned.command)}"
    yield f"port         {planned.port}"
    if planned.health_path:
        yield f"health       {planned.health_path}"
    for ignored in planned.ignored:
        yield f"ignored      {ignored.path}: {ignored.reason}"
    for warning in planned.warnings:
        yield f"warning      {warning}"
