"""What the reconciler decides, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from binder_deploy.backends import Instance, State
from binder_deploy.reconciler import Action, Doubt, Fail, Remove, Restart, Resume, Stop, View, decide, overdue
from binder_deploy.records import Record, failure_of
from binder_protocol.errors import Evicted, NodeSilent, Unavailable
from binder_protocol.models import ApplicationStatus as Status
from tests.support.launches import ID, NOON, a_record, an_instance

VIEW = View(now=NOON, looked=NOON, watching_since=NOON - timedelta(hours=1), give_up=timedelta(minutes=5))
BEFORE, AFTER = NOON - timedelta(hours=2), NOON - timedelta(minutes=1)


def _said(actions: list[Action]) -> list[str]:
    said = []
    for each in actions:
        name = type(each).__name__.lower()
        if isinstance(each, Doubt):
            name += " nothing" if each.error is None else f" {each.error.type}"
        said.append(f"{name} {each.error.type}" if isinstance(each, Fail) else name)
    return said


def _exited(**values: Any) -> Instance:
    return an_instance(State.EXITED, **{"ended": AFTER, "exit_code": 1, **values})


IDLE = {"last_activity": NOON - timedelta(minutes=2)}
LATER = {"extended_until": NOON + timedelta(days=1)}
OLD = {"launch": {"max_age": 60_000}}

SILENT = an_instance(doubt=NodeSilent())
SILENCE = failure_of(NodeSilent(), step="run", lines=[])

QUEUED = an_instance(State.CREATED, waiting="0/1 nodes are available")

CASES: list[tuple[str, Record | None, Instance | None, dict[str, Any], list[str]]] = [
    ("runs and is used", a_record(), an_instance(), {}, []),
    ("waits for a place", a_record(Status.PENDING, minutes=9), QUEUED, {}, []),
    ("waited too long for a place", a_record(Status.PENDING, minutes=11), QUEUED, {}, ["fail unschedulable"]),
    ("has found a place", a_record(Status.PENDING), an_instance(State.CREATED), {}, ["resume"]),
    ("was taken its place", a_record(), _exited(failure=Evicted()), {"watching_since": None}, ["fail evicted"]),
    ("is on a silent node", a_record(), SILENT, {}, ["doubt node-silent"]),
    ("is still on a silent node", a_record(failure=SILENCE), SILENT, {}, []),
    ("is on a silent node, so nobody knows its use", a_record(minutes=9, failure=SILENCE, **IDLE), SILENT, {}, []),
    ("is on a node that is back", a_record(failure=SILENCE), an_instance(), {}, ["doubt nothing"]),
    ("is idle", a_record(minutes=9, **IDLE), an_instance(), {}, ["stop"]),
    ("is idle, but nobody counts", a_record(minutes=9, **IDLE), an_instance(), {"activity_known": False}, []),
    ("is idle, but just deployed", a_record(minutes=0.1, **IDLE), an_instance(), {"grace": timedelta(minutes=1)}, []),
    ("is idle, but extended", a_record(minutes=9, **IDLE, **LATER), an_instance(), {}, []),
    ("is too old", a_record(minutes=9, **OLD), an_instance(), {}, ["stop"]),
    ("is extended, but too old", a_record(minutes=9, **OLD, **LATER), an_instance(), {}, ["stop"]),
    ("crashed while watched", a_record(), _exited(), {}, ["fail crashed"]),
    ("stopped with the engine", a_record(), _exited(ended=BEFORE), {}, ["restart"]),
    ("stopped, and nobody watches yet", a_record(), _exited(ended=BEFORE), {"watching_since": None}, []),
    ("was out of memory", a_record(), _exited(ended=BEFORE, out_of_memory=True), {}, ["fail out-of-memory"]),
    ("was removed by hand", a_record(), None, {}, ["fail crashed"]),
    ("changed after the look", a_record(minutes=-1), None, {}, []),
    ("was left unstarted", a_record(Status.PENDING), None, {}, ["resume"]),
    ("was left starting", a_record(Status.DEPLOYING), an_instance(), {}, ["resume"]),
    ("crashed while unattended", a_record(Status.DEPLOYING), _exited(), {}, ["resume"]),
    ("is being started", a_record(Status.DEPLOYING), None, {"busy": frozenset({ID})}, []),
    ("doesn't get up", a_record(Status.DEPLOYING, minutes=6), None, {}, ["fail engine-error"]),
    ("is an orphan", None, an_instance(), {}, ["remove"]),
    ("is being ended", None, an_instance(), {"busy": frozenset({ID})}, []),
    ("is a dead orphan", None, _exited(), {}, ["remove"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "instance", "view", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_is_done_about_one_that(
    record: Record | None, instance: Instance | None, view: dict[str, Any], expected: list[str]
) -> None:
    records = [] if record is None else [record]
    instances = {} if instance is None else {instance.id: instance}
    assert _said(decide(records, instances, replace(VIEW, **view))) == expected


def test_each_is_decided_for_itself() -> None:
    used, idle = a_record(), a_record(minutes=9, launch={"identity": "b" * 32}, **IDLE)
    instances = {each: replace(an_instance(), id=each) for each in (used.id, idle.id, "c" * 32)}
    assert decide([used, idle], instances, VIEW) == [Stop(idle.id, "it was idle for 120 s"), Remove("c" * 32)]


def test_actions_are_values() -> None:
    assert Restart(ID) == Restart(ID)
    assert Resume(ID) != Resume("x")


def test_without_the_backend_only_late_launches_are_given_up() -> None:
    records = [
        a_record(Status.DEPLOYING, minutes=6), a_record(Status.DEPLOYING), a_record(Status.PENDING, minutes=60),
        a_record(minutes=600),
    ]  # fmt: skip
    (late,) = overdue(records, NOON, timedelta(minutes=5), Unavailable("nobody answers"))
    assert isinstance(late, Fail)
    assert (late.error.type, "nobody answers" in late.error.message) == ("engine-error", True)
