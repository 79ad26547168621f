"""What was asked for and what became of it: the record of one application, and how it looks on the wire. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from binder_deploy.launches import Launch
from binder_protocol.errors import BinderError
from binder_protocol.models import Application, ApplicationStatus, Failure

ACTIVE = frozenset({ApplicationStatus.PENDING, ApplicationStatus.DEPLOYING, ApplicationStatus.DEPLOYED})
"""The states in which an application takes a place."""


@dataclass(frozen=True)
class Record:
    """`since`: when it came into its present state. `anonymous`: launched without a key, so its status may be asked
    without one, token included. `timings` are in seconds since `created`.
    """

    launch: Launch
    status: ApplicationStatus
    created: datetime
    since: datetime
    anonymous: bool = False
    location: str | None = None
    ended: datetime | None = None
    last_activity: datetime | None = None
    extended_until: datetime | None = None
    timings: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str | None = None

    @property
    def id(self) -> str:
        return self.launch.id

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def end_of_life(self) -> datetime | None:
        """When it must end, however busy it is."""
        age = self.launch.max_age
        return None if age is None else self.created + timedelta(milliseconds=age)

    @property
    def cull_time(self) -> datetime | None:
        """When it is culled, if nothing happens until then; None as long as it isn't deployed."""
        if self.status is not ApplicationStatus.DEPLOYED:
            return None
        idle = (self.last_activity or self.since) + timedelta(milliseconds=self.launch.cull_timeout)
        culled = max(filter(None, (idle, self.extended_until)))
        return min(filter(None, (culled, self.end_of_life)))


def application(record: Record, *, may_open: bool) -> Application:
    """`record` on the wire. Its location is given once it works, and with the token only to who may open it."""
    location = record.location if record.status is ApplicationStatus.DEPLOYED else None
    if location is not None and not may_open:
        location = location.partition("?")[0]
    return Application(
        id=record.id,
        template_name=record.launch.template,
        revision=record.launch.revision,
        status=record.status,
        location=location,
        image=record.launch.image,
        start_time=record.created,
        end_time=record.ended,
        last_activity=record.last_activity,
        cull_time=record.cull_time,
        end_of_life=record.end_of_life if record.active else None,
        cull_timeout=record.launch.cull_timeout,
        max_age=record.launch.max_age,
        timings=record.timings,
        reason=record.reason,
        failure=record.failure,
    )


def failure_of(error: BinderError, *, step: str, lines: list[str]) -> Failure:
    """Why it failed, as it is kept and shown."""
    return Failure(type=error.type, message=error.message, step=step, log=lines, suggestions=list(error.suggestions))
