"""Applications: launched templates."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from binder_protocol.models.base import Failure, Milliseconds, Name, RequestModel, Time, WireModel
from binder_protocol.models.registry import Environment, Limits


class ApplicationStatus(StrEnum):
    """`pending` and `deploying` lead to `deployed` or `failed`; all end as `deleted`, or stay `failed`."""

    PENDING = "pending"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    FAILED = "failed"
    DELETED = "deleted"

    @property
    def ended(self) -> bool:
        return self in (ApplicationStatus.FAILED, ApplicationStatus.DELETED)


class LaunchRequest(RequestModel):
    """What to launch. `cull-timeout` and `max-age` are in ms; `resources` beside the template's limits."""

    template_name: Name
    revision: Annotated[int, Field(ge=1)] | None = None
    cull_timeout: Milliseconds | None = None
    max_age: Milliseconds | None = None
    environment: Environment = {}
    resources: Limits = Limits()


class Application(WireModel):
    """One launched template. `location` is complete, with its token, and there once it works.

    `last-activity`, and the times at which it will be culled (`cull-time`) and must end (`end-of-life`).
    `timings`: seconds from the request to each state that was reached, and to `ready` steps within.
    """

    id: str
    template_name: str
    revision: int | None = None
    status: ApplicationStatus
    location: str | None = None
    image: str | None = None
    start_time: Time
    end_time: Time | None = None
    last_activity: Time | None = None
    cull_time: Time | None = None
    end_of_life: Time | None = None
    cull_timeout: int | None = None
    max_age: int | None = None
    timings: dict[str, float] = {}
    reason: str | None = None
    failure: Failure | None = None


class ExtendRequest(RequestModel):
    """How much longer, in ms, an idle application stays; never past its max-age."""

    milliseconds: Milliseconds


class ApplicationEvent(WireModel):
    """A change of an application. `id` counts from 1; `seconds` since the launch was asked for."""

    id: int
    time: Time
    status: ApplicationStatus
    message: str = ""
    seconds: float | None = None
    failure: Failure | None = None


class ApplicationLogLine(WireModel):
    """One line that an application printed."""

    id: int
    text: str
    time: Time | None = None


class PreloadStatus(StrEnum):
    """As in 2016, and `failed`."""

    LOADING = "loading"
    COMPLETED = "completed"
    FAILED = "failed"


class Preload(WireModel):
    """Whether a template's image is on this host, or on each of a cluster's `nodes`; nodes that come later included."""

    name: str
    template: str
    image: str | None = None
    status: PreloadStatus
    nodes: dict[str, PreloadStatus] = {}
    start_time: Time
    failure: Failure | None = None


class Capacity(WireModel):
    """How many applications run, and how many may."""

    running: int
    capacity: int
    available: int
