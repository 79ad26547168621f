"""The composition root: from configuration and machine to the suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from binder_control.certificate import ensure_certificate
from binder_control.config import Configuration
from binder_control.engine import SOCKET, EngineProbe
from binder_control.lock import Report
from binder_control.programs import ENGINE, engine_program, front_door_program, service_programs
from binder_control.suite import Suite
from binder_control.supervisor import Supervisor

if TYPE_CHECKING:
    from binder_control.host.facts import HostSettings


def assemble(configuration: Configuration, environ: Mapping[str, str], report: Report) -> Suite:
    """The suite as it runs, or, where it doesn't, as it would be started."""
    programs = service_programs(configuration)
    configuration.paths.prepare()
    command = engine_command(configuration)
    if command:
        programs.insert(0, engine_program(command, SOCKET))
    certificate = ensure_certificate(configuration.paths.control / "front-door.pem")
    programs.append(front_door_program(configuration, certificate))
    environment = program_environment(configuration, environ)
    return Suite(configuration, programs, environment, report, EngineProbe.of(configuration).require)


def engine_command(configuration: Configuration) -> list[str] | None:
    """The Docker engine to supervise: the one that is supervised now, or one where none answers; else None."""
    launched = Supervisor(configuration.paths).launched()
    if launched:
        return launched.get(ENGINE)
    engine = EngineProbe.of(configuration)
    if configuration.control.engine == "never" or engine.url != f"unix://{SOCKET}" or engine.answers():
        return None
    # Heavy: imported only here, where there is time.
    from binder_control.host.engine import daemon_command
    from binder_control.host.probe import read_facts

    facts = read_facts(host_settings(configuration))
    return daemon_command(facts) if "dockerd" in facts.programs and not facts.systemd else None


def host_settings(configuration: Configuration) -> HostSettings:
    """What set-up and doctor need to know."""
    from binder_control.host.facts import HostSettings

    ports = {name: settings.port for name, settings in configuration.services.items()}
    return HostSettings(
        home=configuration.paths.home,
        docker_host=EngineProbe.of(configuration).url,
        ports={**ports, "front-door": configuration.control.port},
    )


def program_environment(configuration: Configuration, environ: Mapping[str, str]) -> dict[str, str]:
    """What every program gets. The key is not in it unless the user put it there: services read its file."""
    from binder_control.host.engine import search_path

    # Without bytecode every start would compile all libraries anew: 1.5 s and 7 MB for each service.
    kept = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        **configuration.derived,
        "BINDER_HOME": str(configuration.paths.home),
        "PATH": search_path(),
        "PYTHONUNBUFFERED": "1",
        # An arena for each thread costs a small service a third of its memory, and gains it nothing.
        "MALLOC_ARENA_MAX": environ.get("MALLOC_ARENA_MAX", "2"),
    }
