"""Attempts: what is kept about each try to build a repository, and how it looks on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from binder_build.sources.source import Revision
from binder_protocol.errors import BinderError
from binder_protocol.models import Build, BuildPhase, BuildRequest, BuildStatus, Failure, PhaseTiming, TemplateSpec


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, before anybody looked at the repository.

    `settings` tells apart requests that would build the same commit in different ways; `owner` is whose turn it is.
    """

    name: str
    display_name: str
    repository: str
    owner: str
    settings: str
    request: BuildRequest


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to build. `number` counts from 1 for each name. Moments are seconds since 1970.

    `recipe` stands for all that decides the image besides the name: commit, base, buildpacks, settings. `spec` is
    there once there is an image. `tries` counts the times that it was started: more than one where a service died.
    """

    id: int
    number: int
    subject: Subject
    status: BuildStatus
    phase: BuildPhase
    start: float
    end: float | None = None
    revision: Revision | None = None
    recipe: str | None = None
    buildpack: str | None = None
    reference: str | None = None
    spec: TemplateSpec | None = None
    template: str | None = None
    cached: bool = False
    timings: tuple[PhaseTiming, ...] = ()
    failure: Failure | None = None
    tries: int = 0
    cancelling: bool = False

    @property
    def name(self) -> str:
        return self.subject.name

    def build(self, position: int | None = None, *, cached: bool = False) -> Build:
        """The attempt as it goes over the wire; `cached` where it answers a later request."""
        request = self.subject.request
        revision = self.revision
        return Build(
            name=self.subject.name,
            display_name=self.subject.display_name,
            repository=self.subject.repository,
            ref=request.ref if revision is None else revision.ref,
            subdir=request.subdir if revision is None else revision.subdir,
            commit=None if revision is None else revision.commit,
            attempt=self.number,
            status=self.status,
            phase=self.phase,
            start_time=moment(self.start),
            end_time=None if self.end is None else moment(self.end),
            position=position,
            buildpack=self.buildpack,
            image=None if self.spec is None else self.spec.image,
            template=self.template,
            cached=self.cached or cached,
            timings=list(self.timings),
            error=None if self.failure is None else self.failure.message,
            failure=self.failure,
        )


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def failure_of(error: BinderError) -> Failure:
    """What is kept of the error that ended an attempt."""
    step, lines = error.details.get("step"), error.details.get("log")
    return Failure(
        type=error.type,
        message=error.message,
        step=step if isinstance(step, str) else None,
        log=[str(line) for line in lines] if isinstance(lines, list) else [],
        suggestions=list(error.suggestions),
    )
