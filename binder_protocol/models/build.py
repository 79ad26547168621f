"""Builds: the request, the state, the log, the plan."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from binder_protocol.models.base import Failure, Name, RequestModel, Time, WireModel

Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Ref = Annotated[str, Field(min_length=1, max_length=255)]
Subdir = Annotated[str, Field(min_length=1, max_length=500)]


class BuildStatus(StrEnum):
    """`queued` and `running` end as one of the other three."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (BuildStatus.QUEUED, BuildStatus.RUNNING)


class BuildPhase(StrEnum):
    """The phases of a build, in their order."""

    QUEUED = "queued"
    FETCHING = "fetching"
    PLANNING = "planning"
    BUILDING = "building"
    PUSHING = "pushing"
    REGISTERING = "registering"
    FINISHED = "finished"


class BuildOptions(RequestModel):
    """What a build does only when asked.

    `as-of`: no package published after this day. `secrets`: names of credentials that the steps get, at
    /run/secrets/NAME or as further package indexes. `sbom`: a bill of materials is made and kept with the build.
    """

    submodules: bool = False
    as_of: date | None = None
    secrets: list[Name] = Field(default=[], max_length=20)
    sbom: bool = False


class BuildRequest(RequestModel):
    """What to build. `force` builds again even where this commit has an image."""

    repository: Text
    ref: Ref | None = None
    subdir: Subdir | None = None
    force: bool = False
    credential: Text | None = None
    options: BuildOptions = BuildOptions()


class PlanRequest(RequestModel):
    """What to plan: as in `BuildRequest`."""

    repository: Text
    ref: Ref | None = None
    subdir: Subdir | None = None
    credential: Text | None = None
    options: BuildOptions = BuildOptions()


class PhaseTiming(WireModel):
    """One phase of an attempt; `seconds` is absent while it runs."""

    phase: BuildPhase
    start_time: Time
    seconds: float | None = None


class Build(WireModel):
    """One attempt at building a repository; a build's name stands for its newest attempt.

    `error` is the failure's message (2016's field), `failure` all of it. `position` counts from 1 while queued.
    `image` names the image by id or digest. `cached`: this commit was built before, and nothing had to be done.
    """

    name: str
    display_name: str
    repository: str
    ref: str | None = None
    subdir: str | None = None
    commit: str | None = None
    attempt: int = 1
    status: BuildStatus
    phase: BuildPhase
    start_time: Time
    end_time: Time | None = None
    position: int | None = None
    buildpack: str | None = None
    image: str | None = None
    template: str | None = None
    cached: bool = False
    timings: list[PhaseTiming] = []
    error: str | None = None
    failure: Failure | None = None


class LogLine(WireModel):
    """One entry of a build's log. `id` counts from 1 without gaps, within one attempt.

    `kind` is `line` for what a step prints; `step` when a step starts or ends (`status` started, done, cached or
    failed, with `seconds`); `phase` when a phase starts; `note` for Binder's own words; `end` for the last entry,
    whose `status` is that of the build.
    """

    id: int
    time: Time
    kind: Literal["line", "step", "phase", "note", "end"] = "line"
    text: str = ""
    phase: BuildPhase | None = None
    step: str | None = None
    status: str | None = None
    seconds: float | None = None


class IgnoredFile(WireModel):
    """A file of the repository that has no effect on the build, although it looks as if it had."""

    path: str
    reason: str


class Plan(WireModel):
    """What a build of this commit would do. `files` decided it; `dockerfile` is the generated or found text.

    `environment` is the key of all that comes before the repository's contents: commits and repositories of one key
    share what was installed. `versions` are those that were chosen. `built`: this commit has an image here, and a build
    would be answered at once; `environment_ready`: its environment has one, and a build would install nothing. Both are
    absent where no server was asked.
    """

    name: str
    repository: str
    ref: str | None = None
    subdir: str | None = None
    commit: str | None = None
    buildpack: str
    reason: str
    files: list[str]
    dockerfile: str
    base: str | None = None
    environment: str | None = None
    environment_ready: bool | None = None
    built: bool | None = None
    port: int
    command: list[str] | None = None
    health_path: str | None = None
    versions: dict[str, str] = {}
    ignored: list[IgnoredFile] = []
    warnings: list[str] = []
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}


class Lock(WireModel):
    """What a build installed: `packages` as requirements (`name==version`), in the order of their names."""

    name: str
    attempt: int
    commit: str | None = None
    packages: list[str]


class Sbom(WireModel):
    """A build's bill of materials; `document` is CycloneDX JSON of the version that it names itself."""

    name: str
    attempt: int
    commit: str | None = None
    document: dict[str, Any]
