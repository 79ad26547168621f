"""Launches, records and instances for tests of what is pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from binder_deploy.backends import Instance, State
from binder_deploy.launches import Launch, Policy
from binder_deploy.records import Record
from binder_protocol.models import ApplicationStatus

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"

POLICY = Policy(
    memory=512 * 2**20, cpu=500, pids=256, max_memory=2**30, max_cpu=2000, max_pids=512, cull_timeout=3_600_000,
    max_age=None, longest_cull_timeout=7_200_000, longest_age=86_400_000,
)  # fmt: skip


def a_launch(identity: str = ID, **values: Any) -> Launch:
    usual: dict[str, Any] = {
        "id": identity, "template": "demo", "revision": 1, "image": "demo:1", "token": "s3cret", "memory": 2**28,
        "cpu": 1500, "pids": 64, "cull_timeout": 60_000,
    }  # fmt: skip
    return Launch(**{**usual, **values})


def a_record(status: ApplicationStatus = ApplicationStatus.DEPLOYED, *, minutes: float = 1, **values: Any) -> Record:
    """An application that came into `status` so many minutes before noon."""
    since = NOON - timedelta(minutes=minutes)
    launch = a_launch(**values.pop("launch", {}))
    return Record(launch, status, **{"created": since, "since": since, "last_activity": NOON, **values})


def an_instance(state: State = State.RUNNING, **values: Any) -> Instance:
    return Instance(ID, state, **values)
