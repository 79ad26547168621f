"""A container as a value: what a launch comes to in the words of the Docker Engine's API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binder_deploy import routes
from binder_deploy.launches import Launch
from binder_deploy.startup import USER, Image, environment, filled, runs_jupyter
from binder_protocol.errors import InvalidTemplate
from binder_protocol.labels import APP, APPLICATION, JUPYTER, OTHER, TEMPLATE

HOME, PORT, MIDDLEWARES = "org.binder.home", "org.binder.port", "org.binder.middlewares"
"""Labels beside those of startup.py: HOME is part of a container's identity; the others make its route."""

_SHARED_MEMORY = 64 * 2**20
_NANOSECONDS = 1_000_000  # Docker counts in billionths of a CPU


@dataclass(frozen=True)
class Surroundings:
    """What all containers of this suite share. `cpu` is what the host has, in thousandths; more can't be given.

    `disk` in bytes, where a launch says nothing else, only works where the storage driver has quotas.
    """

    home: str
    network: str
    cpu: int
    log_bytes: int = 5 * 2**20
    disk: int | None = None


def name(identity: str) -> str:
    """The container's name: a second one for the same application can't be made."""
    return f"binder-{identity}"


def create_request(launch: Launch, image: Image, around: Surroundings) -> dict[str, Any]:
    """The body of `POST /containers/create`. Raises InvalidTemplate for what only a cluster has.

    A placement is left unread: there is one node.
    """
    if launch.extended:
        raise InvalidTemplate(f"a Docker engine has no extended resources such as {min(launch.extended)}")
    request: dict[str, Any] = {
        "Image": image.id,
        "User": f"{USER}:{USER}",
        "Env": [f"{key}={value}" for key, value in environment(launch, image).items()],
        "Labels": _labels(launch, image, around),
        "ExposedPorts": {f"{launch.port}/tcp": {}},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "HostConfig": _host_config(launch, image, around),
    }
    if launch.command is not None:
        request["Cmd"] = [filled(argument, launch) for argument in launch.command]
    return request


def route_of(identity: str, address: tuple[str, int], labels: Mapping[str, str]) -> str:
    """The front door's route to a container at `address`, from its labels; as binder_deploy.routes has it."""
    return routes.route(identity, address, [each for each in labels.get(MIDDLEWARES, "").split(",") if each])


def _labels(launch: Launch, image: Image, around: Surroundings) -> dict[str, str]:
    jupyter = runs_jupyter(launch, image)
    return {
        **launch.labels,
        APPLICATION: launch.id,
        TEMPLATE: launch.template,
        HOME: around.home,
        APP: JUPYTER if jupyter else OTHER,  # the image's claim is not taken over where something else runs
        PORT: str(launch.port),
        MIDDLEWARES: ",".join(routes.middlewares(launch, own_login=launch.login or jupyter)),
    }


def _host_config(launch: Launch, image: Image, around: Surroundings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": around.network,
        "Init": not image.has_init,
        "Privileged": False,
        "PublishAllPorts": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "IpcMode": "private",
        "Memory": launch.memory,
        "MemorySwap": launch.memory,  # memory and swap together: no swap
        "NanoCpus": min(launch.cpu, around.cpu) * _NANOSECONDS,
        "PidsLimit": launch.pids,
        "ShmSize": min(_SHARED_MEMORY, launch.memory),
        "RestartPolicy": {"Name": "no"},  # what crashed is told, not started over and over
        "LogConfig": {"Type": "json-file", "Config": {"max-size": str(around.log_bytes), "max-file": "2"}},
    }
    disk = launch.disk or around.disk
    if disk is not None:
        config["StorageOpt"] = {"size": str(disk)}
    return config
