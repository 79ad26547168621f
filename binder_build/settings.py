"""Settings of the build service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from binder_protocol.models.registry import Cpu, Memory
from binder_protocol.service.settings import ServiceSettings

_GIB = 2**30
_REPOSITORY = r"^[a-z0-9][a-z0-9.:/_-]{0,200}[a-z0-9]$"
_ADDRESS = r"^(?:tcp|unix)://[A-Za-z0-9_.:/\[\]-]{1,300}$"
_OPTION = r"^[a-z]+(?:[.-][a-z-]+)*=\S{1,500}$"
_MIRROR = r"^https?://[A-Za-z0-9_.:/~\[\]-]{1,300}[A-Za-z0-9_~-]$"


class BuildSettings(ServiceSettings):
    """How builds are made. Durations are in seconds, sizes in bytes.

    Queue: `workers` builds run at once and `queue_size` wait. `answer_seconds`: how long a request for a build waits
    to learn the commit; then it goes on behind it. A build that the service's death cut short is started again
    `restarts` times; then it has failed. Where several services share a database, a build whose service hasn't been
    heard of for `lease_seconds` is started over by another one.

    Sources: `allow_hosts` names hosts, host:port pairs, addresses and networks that may be private.
    `ssh_key` is the one key shown to ssh servers, `known_hosts` lists those that are trusted; without it, the key that
    a server shows first is remembered. `credentials_file` is TOML with a table per credential: `host` and `secret`;
    readable by its owner alone. `credentials_key`: the file of the keys that the other credentials are sealed with;
    made in the service's directory by default.

    Engine: `docker_host` as in $DOCKER_HOST; `registry` is where images are pushed to, as host/path; none by default.
    Without `registry_tls` it speaks plain HTTP. `docker_config`: the directory of the config.json with logins.
    Environments are shared there, too, by all hosts with that setting. `build_cache`, of the same form, is where the
    steps of repositories' own Dockerfiles are shared. What is there is trusted.
    `memory`, `cpu` and `pids` bind a build's steps; `frontends`: the frontend that a Dockerfile names is pulled.
    `ca_bundle`, `index_url`, `npm_registry` and proxies reach the steps and leave no trace in the image. `max_memory`
    and `max_cpu` are the most that a repository's binder.toml gets for its application.

    Without an engine: `images` is `registry`, and builders push there themselves. They are those that listen at the
    addresses in `builders` (buildkitd's, with `builder_certificates`: ca.pem, cert.pem, key.pem), and `builder_pods`
    that buildx makes in a cluster: in `builder_namespace`, of `builder_image`, with `builder_options` (buildx's own for
    its kubernetes driver, such as limits.memory=8Gi) and `builder_config` (buildkitd.toml; made for the registry by
    default). `builder` is one that buildx knows already. `base_image` is the base image's name in a registry then.

    Mirrors show in plans and logs: `python_mirror` and `python_downloads` are where Pythons that the base image hasn't
    come from (uv's UV_PYTHON_INSTALL_MIRROR and UV_PYTHON_DOWNLOADS_JSON_URL); `conda_channel_alias` is asked in the
    stead of conda.anaconda.org; `cran_mirror` holds snapshots of CRAN by their day, as CRAN_MIRROR/2025-06-30, and is
    named in images of R; `julia_mirror` is laid out as Julia's own download server. Without `managed_pythons` none is
    downloaded: a repository that asks for another Python than the base image's gets that one, with a warning.

    Disk: a step may write `disk` to its image. Below `min_free_bytes` what was least recently used is removed, and
    without success no build starts. The engine's cache of steps is trimmed to `cache_bytes`.
    Of each name the newest good image and `keep_images` before it are kept in any case. A log holds `log_bytes`, and
    those of the newest `keep_logs` attempts at a name are kept.
    """

    section: ClassVar[str] = "build"

    port: int = Field(default=8082, ge=0, le=65_535)

    workers: int = Field(default=2, ge=1, le=64)
    queue_size: int = Field(default=100, ge=1, le=10_000)
    plan_workers: int = Field(default=2, ge=1, le=32)
    restarts: int = Field(default=1, ge=0, le=10)
    lease_seconds: float = Field(default=8, ge=2, le=3_600)

    answer_seconds: float = Field(default=3, gt=0, le=20)
    resolve_seconds: float = Field(default=30, gt=0, le=600)
    fetch_seconds: float = Field(default=600, gt=0, le=86_400)
    plan_seconds: float = Field(default=60, gt=0, le=3_600)
    build_seconds: float = Field(default=3_600, gt=0, le=86_400)
    push_seconds: float = Field(default=1_800, gt=0, le=86_400)
    register_seconds: float = Field(default=30, gt=0, le=600)

    allow_hosts: list[str] = []
    credentials_file: Path | None = None
    credentials_key: Path | None = None
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    source_bytes: int = Field(default=2 * _GIB, ge=1_024)
    source_files: int = Field(default=200_000, ge=1)

    docker_host: str | None = None
    docker_config: Path | None = None
    images: Literal["engine", "registry"] = "engine"
    builder: str | None = None
    builders: list[Annotated[str, Field(pattern=_ADDRESS)]] = Field(default=[], max_length=64)
    builder_certificates: Path | None = None
    builder_pods: int = Field(default=0, ge=0, le=64)
    builder_namespace: str = Field(default="binder-builders", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    builder_image: str | None = None
    builder_options: list[Annotated[str, Field(pattern=_OPTION)]] = []
    builder_config: Path | None = None
    base_image: str = "binder-base:latest"
    registry: str | None = Field(default=None, pattern=_REPOSITORY)
    registry_tls: bool = True
    build_cache: str | None = Field(default=None, pattern=_REPOSITORY)
    memory: Memory = "4G"
    cpu: Cpu | None = None
    pids: int = Field(default=8_192, ge=16, le=4_194_304)
    max_memory: Memory | None = None
    max_cpu: Cpu | None = None
    ca_bundle: Path | None = None
    index_url: SecretStr | None = None
    npm_registry: str | None = Field(default=None, pattern=r"^https?://[^\s@'\"\\]{1,500}$")
    managed_pythons: bool = True
    python_mirror: str | None = Field(default=None, pattern=_MIRROR)
    python_downloads: str | None = Field(default=None, pattern=_MIRROR)
    conda_channel_alias: str | None = Field(default=None, pattern=_MIRROR)
    http_proxy: SecretStr | None = None
    https_proxy: SecretStr | None = None
    no_proxy: str | None = None
    cran_mirror: str | None = Field(default=None, pattern=_MIRROR)
    julia_mirror: str | None = Field(default=None, pattern=_MIRROR)
    allow_remote_add: bool = False
    frontends: bool = False

    disk: Memory | None = "20G"
    min_free_bytes: int = Field(default=2 * _GIB, ge=0)
    cache_bytes: int = Field(default=20 * _GIB, ge=0)
    keep_images: int = Field(default=0, ge=0, le=1_000)
    log_bytes: int = Field(default=16 * 2**20, ge=65_536)
    keep_logs: int = Field(default=20, ge=1, le=10_000)

    @model_validator(mode="after")
    def _registry_has_builders(self) -> Self:
        """Images in a registry alone need one, and builders that aren't an engine's own."""
        if self.images == "registry" and self.registry is None:
            raise ValueError("with images = registry, `registry` names where they are pushed to")
        if self.images == "registry" and not (self.builder or self.builders or self.builder_pods):
            raise ValueError("with images = registry, `builder`, `builders` or `builder_pods` says what builds")
        if self.images == "engine" and (self.builders or self.builder_pods):
            raise ValueError("`builders` and `builder_pods` push to a registry: set images = registry")
        if self.images == "registry" and "/" not in self.base_image:
            raise ValueError("with images = registry, `base_image` is the base image's name in a registry")
        return self

    @property
    def mirrors(self) -> dict[str, str]:
        """The addresses of mirrors that are named, by what they are of."""
        found = {
            "python": self.python_mirror,
            "python-downloads": self.python_downloads,
            "conda": self.conda_channel_alias,
            "cran": self.cran_mirror,
            "julia": self.julia_mirror,
            "npm": self.npm_registry,
        }
        return {name: address for name, address in found.items() if address is not None}


def completed(settings: BuildSettings, environ: Mapping[str, str]) -> BuildSettings:
    """Settings of the network that aren't given, from the variables by which other programs are told of them."""
    known = {
        "ca_bundle": ("SSL_CERT_FILE",),
        "index_url": ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        "npm_registry": ("NPM_CONFIG_REGISTRY", "npm_config_registry"),
        "http_proxy": ("HTTP_PROXY", "http_proxy"),
        "https_proxy": ("HTTPS_PROXY", "https_proxy"),
        "no_proxy": ("NO_PROXY", "no_proxy"),
    }
    found = {
        field: value
        for field, names in known.items()
        if getattr(settings, field) is None and (value := next(filter(None, map(environ.get, names)), None))
    }
    return BuildSettings.model_validate(settings.model_dump() | found)
