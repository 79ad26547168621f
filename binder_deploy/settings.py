"""What an operator may set of the deploy service, below [deploy] in binder.toml or as BINDER_DEPLOY_*."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from binder_deploy.backends.kubernetes.settings import KubernetesSettings
from binder_deploy.launches import PLACEMENT, Policy
from binder_protocol.models.quantities import memory_bytes, millicpus
from binder_protocol.service.settings import ServiceSettings


class DeploySettings(ServiceSettings):
    """Durations are in seconds; memory and CPU in the spellings of templates.

    `front_door_url` and `front_door_metrics_url` are Traefik as this service reaches it, `front_door_routes` the
    directory of route files that it watches; <home>/front-door by default. `public_launch` opens launching to
    everybody. `isolation = "off"` launches without the firewall rules that keep applications from the host and its
    networks: on a machine of one's own, without root. `reachable` are private networks that applications may reach all
    the same, such as a company's proxy. `cull_grace`: nothing is culled sooner after it was deployed. `disk` works
    where Docker's storage driver has quotas; a template may ask for up to `max_disk` there and on a cluster, or for the
    default where that is more. `queue_timeout`: the longest that a launch waits for a place on a full cluster.
    `instance` is what this suite's applications are known by; made at the first start, in <home>/instance. Services
    that share a database share it.
    """

    section: ClassVar[str] = "deploy"

    port: int = Field(default=8084, ge=0, le=65_535)
    backend: Literal["docker", "kubernetes", "memory"] = "docker"
    docker_url: str = "unix:///var/run/docker.sock"
    front_door_url: str = "http://127.0.0.1:8080"
    front_door_metrics_url: str = "http://127.0.0.1:8081/metrics"
    front_door_routes: Path | None = None
    public_launch: bool = False
    instance: str | None = Field(default=None, pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$")

    kubernetes: KubernetesSettings = KubernetesSettings()

    network: str | None = None
    isolation: Literal["on", "off"] = "on"
    reachable: list[str] = []

    max_applications: int = Field(default=100, ge=1, le=100_000)
    memory: str = "2G"
    cpu: str = "1"
    pids: int = Field(default=512, ge=8, le=65_536)
    max_memory: str = "8G"
    max_cpu: str = "4"
    max_pids: int = Field(default=4_096, ge=8, le=65_536)
    disk: str | None = None
    max_disk: str = "40G"
    log_bytes: int = Field(default=5 * 2**20, ge=4_096)

    start_timeout: float = Field(default=120, gt=0, le=3_600)
    queue_timeout: float = Field(default=600, ge=0, le=86_400)
    stop_timeout: int = Field(default=2, ge=0, le=300)
    pull_timeout: float = Field(default=900, gt=0, le=7_200)
    cull_timeout: float = Field(default=3_600, gt=0)
    longest_cull_timeout: float = Field(default=7 * 86_400, gt=0)
    cull_grace: float = Field(default=10, ge=0, le=3_600)
    max_age: float | None = Field(default=86_400, gt=0)
    longest_age: float | None = Field(default=7 * 86_400, gt=0)
    reconcile_every: float = Field(default=10, gt=0, le=600)
    activity_every: float = Field(default=10, gt=0, le=600)
    keep_records: float = Field(default=30 * 86_400, gt=0)

    @field_validator("disk")
    @classmethod
    def _is_disk(cls, text: str | None) -> str | None:
        if text is not None:
            memory_bytes(text)
        return text

    @field_validator("memory", "max_memory", "max_disk")
    @classmethod
    def _is_memory(cls, text: str) -> str:
        memory_bytes(text)
        return text

    @field_validator("cpu", "max_cpu")
    @classmethod
    def _is_cpu(cls, text: str) -> str:
        millicpus(text)
        return text

    @property
    def routes(self) -> Path:
        """The directory of route files that the front door watches."""
        return self.front_door_routes or self.home / "front-door"

    @property
    def policy(self) -> Policy:
        """Defaults and ceilings, in the units of a launch."""
        on_cluster = self.backend == "kubernetes"
        most_memory, most_cpu = memory_bytes(self.max_memory), millicpus(self.max_cpu)
        return Policy(
            memory=min(memory_bytes(self.memory), most_memory),
            cpu=min(millicpus(self.cpu), most_cpu),
            pids=min(self.pids, self.max_pids),
            max_memory=most_memory,
            max_cpu=most_cpu,
            max_pids=self.max_pids,
            cull_timeout=_milliseconds(self.cull_timeout),
            max_age=None if self.max_age is None else _milliseconds(self.max_age),
            longest_cull_timeout=_milliseconds(self.longest_cull_timeout),
            longest_age=None if self.longest_age is None else _milliseconds(self.longest_age),
            max_disk=self._most_disk,
            extended=self.kubernetes.extended_resources if on_cluster else {},
            placement=frozenset(self.kubernetes.template_placement) if on_cluster else PLACEMENT,
        )

    @property
    def _most_disk(self) -> int | None:
        usual = self.kubernetes.ephemeral_storage if self.backend == "kubernetes" else self.disk
        if usual is None:  # a cluster can hold an application to what its template says all the same
            return memory_bytes(self.max_disk) if self.backend == "kubernetes" else None
        return max(memory_bytes(usual), memory_bytes(self.max_disk))


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
