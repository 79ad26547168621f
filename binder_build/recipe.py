"""What a plan is made of: steps of a build as data, from which the Dockerfile is rendered and failures are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from binder_build.addresses import AddressPolicy
from binder_build.repository import Repository
from binder_protocol.models import IgnoredFile, Plan

REPO_DIR = "/home/jovyan"
ENVIRONMENT = "/opt/binder/env"
NB_USER, NB_UID = "jovyan", "1000"
DEFAULT_PORT = 8888


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
class Run:
    """A shell command in `REPO_DIR`. `caches` are directories kept between builds, and the name of each."""

    kind: Kind
    title: str
    command: str
    root: bool = False
    caches: tuple[Cache, ...] = ()


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory kept between builds. Those of one `id` are one; `root`: written by root alone."""

    id: str
    target: str
    root: bool = False


Step = Copy | Run


@dataclass(frozen=True, slots=True)
class Base:
    """The base image: how a Dockerfile names it, and its id."""

    reference: str
    id: str


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Facts of this host that a plan depends on.

    `ca`, `index`: the build is given a CA bundle, a package index, whose address
    holds a password (`index_secret`). `frontends`: docker/dockerfile is pulled where a
    Dockerfile names it. `cache_scope`:
    builds of one scope share the caches that their repositories write to. `private_prefixes`: names of images that
    belong to builds, and to no Dockerfile.
    """

    buildkit: bool = True
    ca: bool = False
    index: bool = False
    index_secret: bool = False
    frontends: bool = False
    cache_scope: str = "host"
    allow_remote_add: bool = False
    private_prefixes: tuple[str, ...] = ("binder/",)
    policy: AddressPolicy = field(default_factory=AddressPolicy)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a tree becomes an image. `port` and `command` are as far as the text tells."""

    buildpack: str
    reason: str
    files: tuple[str, ...]
    dockerfile: str
    dockerignore: str | None
    base: Base
    steps: tuple[Step, ...] = ()
    port: int = DEFAULT_PORT
    command: tuple[str, ...] | None = None
    build_args: dict[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredFile, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def plan(self, repository: Repository, commit: str | None, ref: str | None, subdir: str | None) -> Plan:
        """The recipe as it goes over the wire."""
        return Plan(
            name=repository.name,
            repository=repository.url,
            ref=ref,
            subdir=subdir,
            commit=commit,
            buildpack=self.buildpack,
            reason=self.reason,
            files=list(self.files),
            dockerfile=self.dockerfile,
            base=self.base.id,
            port=self.port,
            command=None if self.command is None else list(self.command),
            ignored=list(self.ignored),
            warnings=list(self.warnings),
            labels=self.labels,
            details=self.details,
        )
