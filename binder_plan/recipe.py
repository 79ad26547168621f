"""What a plan is made of: steps of a build as data, from which the Dockerfile is rendered and failures are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from binder_plan.hosts import may_be_public
from binder_protocol.models import IgnoredFile, Plan

REPO_DIR = "/home/jovyan"
ENVIRONMENT = "/opt/binder/env"
LIBEXEC = "/opt/binder/libexec"
ENVIRONMENT_LABEL = "org.binder.environment"
NB_USER, NB_UID = "jovyan", "1000"
DEFAULT_PORT = 8888


def path_with(prefix: str) -> str:
    """The base image's PATH with the programs of the environment at `prefix` before the base's own."""
    own = f"{REPO_DIR}/.local/bin:{prefix}/bin:{ENVIRONMENT}/bin:/opt/binder/bin"
    return f"{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Kind(StrEnum):
    """What a step is for; the order is that of the layers, from what changes least to what changes most."""

    BASE = "base"
    SYSTEM = "system"
    DEPENDENCIES = "dependencies"
    CONTENTS = "contents"
    PROJECT = "project"
    POST_BUILD = "postBuild"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Copy:
    """Files of the repository, put at the same paths below `REPO_DIR`; `.` is all of them."""

    kind: Kind
    title: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """A file that the plan itself made, at an absolute path of the image, owned by the user."""

    kind: Kind
    title: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A shell command in `REPO_DIR`. `caches` are directories kept between builds; `tools` are seen by it alone.

    `alone`: it needs no network, and no secret of the build.
    """

    kind: Kind
    title: str
    command: str
    root: bool = False
    caches: tuple[Cache, ...] = ()
    alone: bool = False
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """What a step needs and no image keeps: the directory `path`, made in a stage of this name, and only read.

    Either `run` fills it, on the base image, or it holds `files`, by their names.
    """

    name: str
    path: str
    run: Run | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory kept between builds. Those of one `id` are one; `root`: written by root alone.

    A cache that builds of several repositories share may be mounted only where nothing runs that a repository, or a
    package that it names, brought along: it could leave something there for the others.
    """

    id: str
    target: str
    root: bool = False


Step = Copy | Write | Run


@dataclass(frozen=True, slots=True)
class Base:
    """The base image: how a Dockerfile names it, its id, and the version of its Python."""

    reference: str
    id: str
    python: str = "3.13"


@dataclass(frozen=True, slots=True)
class Launch:
    """How the application starts and where it answers. What is None is the image's own: JupyterLab on 8888, with `/`.

    `memory` and `cpu` are wishes, within the operator's ceilings. `strip_prefix`: it answers at `/`, wherever the front
    door carries it.
    """

    command: tuple[str, ...] | None = None
    port: int | None = None
    health_path: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    memory: str | None = None
    cpu: str | None = None
    strip_prefix: bool = False

    def wishes(self) -> dict[str, Any]:
        """What a plan shows of it besides port, command and health path."""
        facts = {
            "strip-prefix": self.strip_prefix,
            "environment": dict(self.environment),
            "memory": self.memory,
            "cpu": self.cpu,
        }
        return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class Environment:
    """All that comes before the repository's contents, as an image of its own: the Dockerfile's stage `environment`.

    `key` is a hash of all that decides it. Repositories of one key share one such image, unless `key` holds a scope.
    """

    key: str


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Facts of this host, and of the request, that a plan depends on.

    `ca`, `index`: the build is given a CA bundle, a package index, whose address holds a password (`index_secret`).
    `frontends`: docker/dockerfile is pulled where a Dockerfile names it. `private_prefixes`: names of images that
    belong to builds, and to no Dockerfile. `registry_allowed` says of a host whether images may come from it.
    `mirrors` are addresses by the names in `settings`, such as `python` and `cran`. `managed_pythons`: Pythons that
    the base hasn't can be downloaded.

    `cache_scope`: builds of one scope share the caches that their repositories write to. `sources`: packages without a
    wheel are built from their sources, with a cache of that scope. `as_of`: no package newer than this day (ISO 8601).
    `secrets`: names of those mounted at /run/secrets; `indexes`: of further package indexes, whose addresses hold a
    password. What is made with either is of `cache_scope` alone. `max_memory`, `max_cpu`: the most that a repository
    may wish for.
    """

    buildkit: bool = True
    ca: bool = False
    index: bool = False
    index_secret: bool = False
    frontends: bool = False
    allow_remote_add: bool = False
    private_prefixes: tuple[str, ...] = ("binder/",)
    registry_allowed: Callable[[str], bool] = may_be_public
    mirrors: Mapping[str, str] = field(default_factory=dict)
    managed_pythons: bool = True
    cache_scope: str = "host"
    sources: bool = True
    as_of: str | None = None
    secrets: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    max_memory: str | None = None
    max_cpu: str | None = None

    @property
    def configured(self) -> bool:
        """Whether steps that reach package indexes are given files that say how."""
        return self.ca or self.index or bool(self.indexes)

    @property
    def private(self) -> bool:
        """Whether what is made holds what other repositories may not have."""
        return bool(self.secrets or self.indexes)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a tree becomes an image.

    `wheels_only`: it installs no package that must be built first; where one must be, a recipe with the setting
    `sources` can. `context`: the directory of the tree whose files the Dockerfile copies, where that isn't the root;
    the root is then the context named binder-repository. `versions` are those that were chosen, by what they are of.
    """

    buildpack: str
    reason: str
    files: tuple[str, ...]
    dockerfile: str
    dockerignore: str | None
    base: Base
    steps: tuple[Step, ...] = ()
    environment: Environment | None = None
    wheels_only: bool = False
    launch: Launch = field(default_factory=Launch)
    versions: Mapping[str, str] = field(default_factory=dict)
    build_args: dict[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredFile, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    context: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def plan(
        self,
        *,
        name: str,
        repository: str,
        commit: str | None = None,
        ref: str | None = None,
        subdir: str | None = None,
    ) -> Plan:
        """The recipe as it goes over the wire."""
        command = self.launch.command
        launch = self.launch.wishes()
        return Plan(
            name=name,
            repository=repository,
            ref=ref,
            subdir=subdir,
            commit=commit,
            buildpack=self.buildpack,
            reason=self.reason,
            files=list(self.files),
            dockerfile=self.dockerfile,
            base=self.base.id,
            environment=None if self.environment is None else self.environment.key,
            port=self.launch.port or DEFAULT_PORT,
            command=None if command is None else list(command),
            health_path=self.launch.health_path,
            versions=dict(self.versions),
            ignored=list(self.ignored),
            warnings=list(self.warnings),
            labels=self.labels,
            details={**self.details, **({"launch": launch} if launch else {})},
        )
