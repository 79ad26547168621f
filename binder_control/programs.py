"""What supervisord runs, as values: a program is a command, the ports it takes, and how it says that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from binder_control import frontdoor
from binder_control.config import Configuration
from binder_control.derived import address
from binder_control.services import SERVICES, Service
from binder_protocol.service.setting_names import value_of

ENGINE, FRONT_DOOR = "engine", "front-door"
_SPARE_STOP_SECONDS = 5


@dataclass(frozen=True)
class Port:
    """An address that must be free before its program starts, and the setting that changes it."""

    host: str
    number: int
    setting: str


@dataclass(frozen=True)
class Program:
    """One supervised process.

    `ready` is a URL that answers 200 once the program works (through `socket`, where that is given); without one it
    works once it runs. `first`: the next
    program is started only when this one is ready. `stop_seconds`: how long it may take to end before it is killed.
    `take_group`: its children die with it when it has to be killed. `files` are written before it starts.
    """

    name: str
    command: tuple[str, ...]
    ports: tuple[Port, ...] = ()
    ready: str | None = None
    socket: Path | None = None
    first: bool = False
    stop_seconds: float = 15
    take_group: bool = False
    files: Mapping[Path, str] = field(default_factory=dict)

    def write_files(self) -> None:
        """Writes what the program reads at its start, for its user's eyes alone."""
        for file, text in self.files.items():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(text, encoding="utf-8")


def service_programs(configuration: Configuration) -> list[Program]:
    """The services, in the order of their table."""
    return [_of(service, configuration) for service in SERVICES]


def front_door_program(configuration: Configuration, certificate: Path | None) -> Program:
    """Traefik. It works when it carries a request to a service and back.

    It has routes to the services, and to the applications for which the deploy service writes files beside them.
    """
    control = configuration.control
    static = configuration.paths.control / "traefik.yml"
    routes: Path = getattr(configuration.services["deploy"], "routes")  # noqa: B009  of DeploySettings alone
    doors = frontdoor.Doors(_listen(control.host, control.port), f"127.0.0.1:{control.metrics_port}")
    urls = {service.name: getattr(control, f"{service.name}_url") for service in SERVICES}
    return Program(
        name=FRONT_DOOR,
        command=tuple(frontdoor.command(static)),
        ports=(
            Port(control.host, control.port, "[control] port"),
            Port("127.0.0.1", control.metrics_port, "[control] metrics-port"),
        ),
        ready=f"{address(control)}/templates?limit=1",
        stop_seconds=10,
        files={
            static: frontdoor.static_config(doors, routes=routes, ingresses=_ingresses(configuration)),
            routes / "suite.yml": frontdoor.dynamic_config(urls, certificate),
        },
    )


def engine_program(command: Sequence[str], socket: Path) -> Program:
    """A Docker engine. It ends its own children; containers are no concern of supervisord's."""
    ready = "http://localhost/_ping"
    return Program(name=ENGINE, command=tuple(command), ready=ready, socket=socket, first=True, stop_seconds=60)


def _ingresses(configuration: Configuration) -> frontdoor.Ingresses | None:
    deploy = configuration.services["deploy"]
    if value_of(deploy, "backend") != "kubernetes":
        return None
    everywhere = value_of(deploy, "kubernetes.own_namespaces")
    return frontdoor.Ingresses(
        namespace=None if everywhere else str(value_of(deploy, "kubernetes.namespace")),
        ingress_class=None if (name := value_of(deploy, "kubernetes.ingress_class")) is None else str(name),
    )


def _listen(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _of(service: Service, configuration: Configuration) -> Program:
    settings = configuration.services[service.name]
    return Program(
        name=service.name,
        # -P: the working directory is no place to import from.
        command=(sys.executable, "-P", "-m", service.module),
        ports=(Port(settings.host, settings.port, f"[{service.name}] port"),),
        ready=f"{address(settings)}/readyz",
        stop_seconds=settings.stop_seconds + _SPARE_STOP_SECONDS,
        take_group=True,
    )
