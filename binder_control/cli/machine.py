"""Commands about the machine: setup and doctor; and what start-all asks of it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from binder_control.cli.lifecycle import Backend
from binder_control.cli.session import Session, print_json, say, session_of
from binder_control.errors import EXIT_FAILED
from binder_protocol.service.setting_names import value_of


def setup(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Prepare this machine: configuration, key, Docker, base image. What is there already is left as it is."""
    from binder_control.assembly import host_settings
    from binder_control.host.machine import Machine
    from binder_control.host.plan import plan
    from binder_control.host.probe import read_facts
    from binder_control.host.step import Step, run

    session = session_of(context)
    settings = host_settings(session.configuration)
    steps = plan(read_facts(settings))
    for step in steps:
        say(f"  {step.name}: {step.reason}")
    if not steps:
        say("everything is there")
    if dry_run or not steps:
        return

    def report(step: Step, seconds: float | None) -> None:
        say(f"{step.name} …" if seconds is None else f"{step.name}: done in {seconds:.1f} s")

    paths = session.configuration.paths
    paths.prepare()
    run(steps, Machine(paths.log("setup"), docker_host=settings.docker_host), report)


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    backend: Annotated[Backend | None, typer.Option(help="As if [deploy] backend said so.")] = None,
) -> None:
    """Say what is wrong with this machine or its cluster, and what mends it. Ends with 1 where something is broken."""
    from binder_control.assembly import host_settings, program_environment
    from binder_control.host.cluster import cluster_findings
    from binder_control.host.doctor import diagnose
    from binder_control.host.image_registry import registry_finding
    from binder_control.host.probe import read_facts
    from binder_protocol.findings import Verdict

    session = session_of(context)
    if backend is not None:
        session.add({"BINDER_DEPLOY_BACKEND": backend.value})
    facts = read_facts(host_settings(session.configuration))
    if session.suite.supervisor.running():
        # The ports are the suite's own then.
        facts = dataclasses.replace(facts, suite_runs=True, busy_ports={})
    findings = diagnose(facts)
    findings += cluster_findings(program_environment(session.configuration, session.environ))
    build = session.configuration.services["build"]
    if (registry := value_of(build, "registry")) is not None:
        findings.append(registry_finding(str(registry), tls=bool(value_of(build, "registry_tls"))))
    if as_json:
        print_json([{**dataclasses.asdict(each), "verdict": each.verdict.value} for each in findings])
    else:
        for each in findings:
            print(f"{each.verdict.value:<8} {each.check:<15} {each.what}")
            if each.mend:
                print(f"{'':<24} → {each.mend}")
    if any(each.verdict is Verdict.FAILED for each in findings):
        raise typer.Exit(EXIT_FAILED)


def prepare_home(session: Session) -> None:
    """Configuration and key, where there are none."""
    from binder_control.config import write_default

    configuration = session.configuration
    configuration.paths.prepare()
    if write_default(configuration.file):
        say(f"wrote {configuration.file}")
    if configuration.key is None and configuration.paths.ensure_key():
        say(f"made an API key: {configuration.paths.key}")
    if configuration.key is None:
        session.reload()
