"""What is read from pods, as the API server tells them."""

from __future__ import annotations

from typing import Any

import pytest

from binder_deploy.backends import State
from binder_deploy.backends.kubernetes.reading import Pod, read
from binder_protocol.errors import BinderError

ID = "0123456789abcdef0123456789abcdef"


def a_pod(status: dict[str, Any] | None = None, **meta: Any) -> Pod:
    labels = {"org.binder.application": ID, "org.binder.app": "jupyter"}
    metadata = {"name": f"binder-{ID}", "namespace": "apps", "uid": "u1", "labels": labels, **meta}
    ports = [{"containerPort": 8888}]
    container = {"name": "application", "ports": ports, "resources": {"requests": {"cpu": "100m"}}}
    return read({"metadata": metadata, "spec": {"containers": [container], "nodeName": "n1"}, "status": status or {}})


def in_container(phase: str, **state: Any) -> dict[str, Any]:
    told = {"name": "application", "state": state, "imageID": "sha256:1"}
    return {"phase": phase, "podIP": "10.1.2.3", "containerStatuses": [told]}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


def test_a_fresh_pod_is_created_and_not_settled() -> None:
    pod = a_pod()
    assert (pod.identity, pod.node, pod.instance.state, pod.settled) == (ID, "n1", State.CREATED, False)
    assert pod.requests == {"pods": 1000, "cpu": 100}


def test_a_running_container_has_an_address_and_is_ready_when_its_pod_is() -> None:
    running = in_container("Running", running={"startedAt": "2026-11-24T12:00:00Z"})
    pod = a_pod(running)
    assert (pod.instance.state, pod.instance.address, pod.instance.ready) == (State.RUNNING, ("10.1.2.3", 8888), False)
    assert pod.instance.jupyter
    assert a_pod(running | condition("Ready", "True")).instance.ready is True


def test_a_pod_without_a_node_waits_with_the_schedulers_words() -> None:
    words = "0/3 nodes are available: 3 Insufficient memory."
    pod = a_pod({"phase": "Pending", **condition("PodScheduled", "False", "Unschedulable", words)})
    assert (pod.instance.waiting, pod.instance.failure, pod.settled) == (words, None, True)


ENDED = {"finishedAt": "2026-11-24T12:00:00Z"}
LATER = "2026-11-24T12:00:01Z"
ENDINGS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("exit code", in_container("Failed", terminated={"exitCode": 3, **ENDED}), {}, "crashed", "exit code 3"),
    ("signal", in_container("Failed", terminated={"exitCode": 143, **ENDED}), {}, "crashed", "signal 15"),
    ("memory", in_container("Failed", terminated={"exitCode": 137, "reason": "OOMKilled"}), {}, "out-of-memory", ""),
    (
        "no program",
        in_container("Failed", terminated={"exitCode": 128, "reason": "StartError", "message": 'exec: "/x": stat'}),
        {},
        "invalid-template",
        '"/x"',
    ),
    ("evicted", {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, {}, "evicted", "low on memory"),
    (
        "node gone",
        in_container("Running", running={}) | condition("DisruptionTarget", "True", "DeletionByTaintManager", "gone"),
        {"deletionTimestamp": LATER},
        "evicted",
        "DeletionByTaintManager",
    ),
    ("shut down", {"phase": "Failed", "reason": "OutOfcpu", "message": "full"}, {}, "crashed", "OutOfcpu"),
]


@pytest.mark.parametrize(
    ("status", "meta", "kind", "words"), [case[1:] for case in ENDINGS], ids=[c[0] for c in ENDINGS]
)
def test_an_ending_has_its_reason(status: dict[str, Any], meta: dict[str, Any], kind: str, words: str) -> None:
    pod = a_pod(status, **meta)
    failure = pod.instance.failure
    assert isinstance(failure, BinderError)
    assert (pod.instance.state, pod.instance.address, failure.type) == (State.EXITED, None, kind)
    assert words in failure.message
    assert not pod.gone


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ErrImagePull", "image-not-found"),
        ("ImagePullBackOff", "image-not-found"),
        ("InvalidImageName", "image-not-found"),
        ("CreateContainerConfigError", "invalid-template"),
        ("ContainerCreating", None),
        ("PodInitializing", None),
    ],
)
def test_what_keeps_a_container_from_starting_has_its_reason(reason: str, kind: str | None) -> None:
    pod = a_pod(in_container("Pending", waiting={"reason": reason, "message": "as it said"}))
    failure = pod.instance.failure
    assert (None if failure is None else failure.type) == kind
    assert pod.settled is (kind is not None)


def test_what_somebody_deletes_is_gone_at_once() -> None:
    assert a_pod(in_container("Running", running={}), deletionTimestamp=LATER).gone
    assert a_pod(in_container("Failed", terminated={"exitCode": 0}), deletionTimestamp=LATER).gone


@pytest.mark.parametrize("status", [{"containerStatuses": []}, {"conditions": None}, {"containerStatuses": [{}, {}]}])
def test_a_status_with_gaps_is_read(status: dict[str, Any]) -> None:
    assert a_pod(status).instance.state is State.CREATED
