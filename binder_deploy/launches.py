"""A launch: all that one application needs, settled from template, request and the operator's defaults. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from binder_protocol.errors import InvalidTemplate
from binder_protocol.models import Access, LaunchRequest, Limits, Placement, Template
from binder_protocol.models.base import kebab
from binder_protocol.models.quantities import memory_bytes, millicpus

RESERVED = ("BINDER_BASE_PATH", "BINDER_PORT", "BINDER_TOKEN", "PORT", "JUPYTER_TOKEN")
"""Environment variables that are ours to set."""

PLACEMENT = frozenset(kebab(name) for name in Placement.model_fields)
"""All that a template may say of its place on a cluster."""


class Launch(BaseModel):
    """What is to run, complete. Memory and disk in bytes, CPU in thousandths, times in ms; None is without end, but of
    disk it is as much as the backend's settings say.

    `command` still has its placeholders: what fills them in is the backend's. `login`: the application checks the
    token itself.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    template: str
    revision: int
    image: str
    token: str = Field(repr=False)
    command: tuple[str, ...] | None = None
    port: int = 8888
    environment: dict[str, str] = Field(default={}, repr=False)
    memory: int
    cpu: int
    pids: int
    disk: int | None = None
    extended: dict[str, int] = {}
    placement: Placement = Placement()
    health_path: str = "/"
    access: Access = Access.TOKEN
    login: bool = False
    strip_prefix: bool = False
    labels: dict[str, str] = {}
    cull_timeout: int
    max_age: int | None = None

    @property
    def base_path(self) -> str:
        """Where the front door carries it."""
        return base_path(self.id)

    @property
    def secret(self) -> str:
        """The token that opens it; empty where everybody may."""
        return self.token if self.access is Access.TOKEN else ""


@dataclass(frozen=True)
class Policy:
    """What an application gets where neither template nor request says so, and the most that they may ask for.

    `extended` names the extended resources that there are, with the most that one application gets. `max_disk`: None
    where applications can't be held to an amount of disk. `placement` is what of its place a template may say.
    """

    memory: int
    cpu: int
    pids: int
    max_memory: int
    max_cpu: int
    max_pids: int
    cull_timeout: int
    max_age: int | None
    longest_cull_timeout: int
    longest_age: int | None
    max_disk: int | None = None
    extended: Mapping[str, int] = field(default_factory=dict)
    placement: frozenset[str] = PLACEMENT


def base_path(identity: str) -> str:
    """The path below which the application of that id answers."""
    return f"/user/{identity}/"


def settle(template: Template, request: LaunchRequest, policy: Policy, *, identity: str, token: str) -> Launch:
    """The launch that `request` asks for. Raises InvalidTemplate where more is asked for than the operator allows."""
    limits = (request.resources, template.limits)
    return Launch(
        id=identity,
        template=template.name,
        revision=template.revision,
        image=template.image,
        token=token,
        command=tuple(template.command) if template.command is not None else None,
        port=template.port,
        environment={**template.environment, **request.environment},
        memory=_within("memory", _memory(limits), policy.memory, policy.max_memory, "bytes"),
        cpu=_within("cpu", _cpu(limits), policy.cpu, policy.max_cpu, "thousandths of a CPU"),
        pids=_within("pids", _first(each.pids for each in limits), policy.pids, policy.max_pids, "processes"),
        disk=_disk(limits, policy.max_disk),
        extended=_extended(limits, policy.extended),
        placement=permitted(template.placement, policy.placement),
        health_path=template.health_path,
        access=template.access,
        login=template.login,
        strip_prefix=template.strip_prefix,
        labels=template.labels,
        cull_timeout=_cull_timeout(template, request, policy),
        max_age=_max_age(template, request, policy),
    )


def usual(policy: Policy) -> Launch:
    """The size of an application that asks for nothing; nothing else of it is meant."""
    return Launch(
        id="0" * 32, template="usual", revision=0, image="", token="",
        memory=policy.memory, cpu=policy.cpu, pids=policy.pids, cull_timeout=policy.cull_timeout,
    )  # fmt: skip


def _cull_timeout(template: Template, request: LaunchRequest, policy: Policy) -> int:
    asked = _first((request.cull_timeout, template.cull_timeout))
    return min(policy.cull_timeout if asked is None else asked, policy.longest_cull_timeout)


def _max_age(template: Template, request: LaunchRequest, policy: Policy) -> int | None:
    # An application may be asked to end sooner than its template says, never later than the operator does.
    asked = _first((request.max_age, template.max_age, policy.max_age))
    return min((age for age in (asked, policy.longest_age) if age is not None), default=None)


def _memory(limits: Iterable[Limits]) -> int | None:
    return _first(None if each.memory is None else memory_bytes(each.memory) for each in limits)


def _cpu(limits: Iterable[Limits]) -> int | None:
    return _first(None if each.cpu is None else millicpus(each.cpu) for each in limits)


def _disk(limits: Iterable[Limits], most: int | None) -> int | None:
    asked = _first(None if each.disk is None else memory_bytes(each.disk) for each in limits)
    if asked is None:
        return None
    if most is None:
        raise InvalidTemplate(
            "limits.disk is given, but this host can't hold an application to an amount of disk",
            suggestions=("leave limits.disk out", "ask the operator to set disk of the deploy service, if Docker can"),
        )
    return _within("disk", asked, asked, most, "bytes")


def permitted(asked: Placement, allowed: frozenset[str]) -> Placement:
    """`asked`, where a template may say all that it says. Raises InvalidTemplate."""
    refused = sorted(name for name, value in asked.wire().items() if value and name not in allowed)
    if refused:
        raise InvalidTemplate(
            f"placement.{refused[0]} is not a template's to say here",
            suggestions=(
                f"leave placement.{refused[0]} out of the template",
                "ask the operator to name it in template-placement below [deploy.kubernetes]",
            ),
        )
    return asked


def _extended(limits: Iterable[Limits], most: Mapping[str, int]) -> dict[str, int]:
    asked = next((each.extended for each in limits if each.extended is not None), {})
    for name, count in asked.items():
        if count > most.get(name, 0):
            raise InvalidTemplate(
                f"limits.extended asks for {count} {name}; an application gets {most.get(name, 0)} at most here",
                suggestions=(
                    "launch it where there are such resources, or leave them out",
                    "ask the operator of a Kubernetes cluster for extended-resources below [deploy.kubernetes]",
                ),
            )
    return {name: count for name, count in asked.items() if count}


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _within(name: str, asked: int | None, default: int, most: int, unit: str) -> int:
    if asked is not None and asked > most:
        raise InvalidTemplate(
            f"limits.{name} asks for {asked} {unit}; this host gives an application {most} at most",
            suggestions=(f"ask for less {name}", f"ask the operator to raise max-{name} of the deploy service"),
        )
    return default if asked is None else asked
