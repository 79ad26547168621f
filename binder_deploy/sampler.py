"""Samples activity: the front door's counters, open connections and Jupyter's own word, folded into the records."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import structlog

from binder_deploy import activity
from binder_deploy.activity import Sample, Track
from binder_deploy.backends import Backend, Instance
from binder_deploy.records import Record
from binder_deploy.store import Store
from binder_protocol.errors import Unavailable
from binder_protocol.models import ApplicationStatus

log = structlog.get_logger()

_MISSED_SAMPLES = 3


class Sampler:
    """Notes which applications were used. `step` is called every so often."""

    def __init__(self, store: Store, backend: Backend, front_door: activity.FrontDoor, *, every: float) -> None:
        self._store = store
        self._backend = backend
        self._front_door = front_door
        self._every = every
        self._tracks: dict[str, Track] = {}
        self._sampled: float | None = None

    @property
    def known(self) -> bool:
        """Whether somebody counted lately; nobody is called idle when not."""
        return self._sampled is not None and time.monotonic() - self._sampled < _MISSED_SAMPLES * self._every + 1

    def step(self) -> None:
        """One sample, kept. Where the front door or the engine doesn't answer, nothing is known."""
        try:
            self._sample()
        except Unavailable as error:
            log.warning("activity is unknown", error=error.message)

    def _sample(self) -> None:
        records = {each.id: each for each in self._store.active() if each.status is ApplicationStatus.DEPLOYED}
        if not records:
            self._tracks, self._sampled = {}, time.monotonic()
            return
        counts, open_to = self._front_door.requests(), self._front_door.connections()
        instances = {each.id: each for each in self._backend.instances() if each.id in records}
        connected = {each.id for each in instances.values() if each.address in open_to and not each.jupyter}
        sample = Sample(time.monotonic(), counts, frozenset(connected))
        first = self._sampled is None or sample.at - self._sampled > _MISSED_SAMPLES * self._every + 1
        now = datetime.now(UTC)
        self._tracks, used = activity.fold(self._tracks, sample, records)
        # What nobody looked at is not called idle: after a pause in the counting everything starts anew.
        moments = dict.fromkeys(records if first else used, now)
        for record in records.values():
            told = self._told_by_jupyter(record, instances.get(record.id), now) if record.id not in moments else None
            if told is not None:
                moments[record.id] = told
        self._store.touch(moments)
        self._sampled = sample.at

    def _told_by_jupyter(self, record: Record, instance: Instance | None, now: datetime) -> datetime | None:
        """Asked only in the second half of its idle time."""
        if instance is None or not instance.jupyter or instance.address is None or record.cull_time is None:
            return None
        if record.cull_time - now > timedelta(milliseconds=record.launch.cull_timeout) / 2:
            return None
        return activity.ask_jupyter(record.launch, instance.address, now)
