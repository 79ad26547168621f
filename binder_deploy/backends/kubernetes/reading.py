"""What a pod says of the application in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from binder_deploy.backends import Instance, State
from binder_deploy.backends.kubernetes.fitting import Amounts, requested
from binder_deploy.backends.kubernetes.objects import CONTAINER
from binder_protocol.errors import (
    ApplicationOutOfMemory,
    BinderError,
    Crashed,
    Evicted,
    ImageNotFound,
    InvalidTemplate,
)
from binder_protocol.labels import APP, APPLICATION, JUPYTER

Json = dict[str, Any]

PRELOAD = "org.binder.preload"
_WORDS = 500
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_NO_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})
_TAKEN = frozenset({"Evicted", "NodeLost", "NodeShutdown", "NodeAffinity", "Shutdown", "Terminated", "Preempting"})


@dataclass(frozen=True)
class Pod:
    """A pod of this suite: an application's, by its `identity`, or one that brings an image to its node, by `preload`.

    `leaving`: somebody deletes it. `pulled`: its image is on its node. `requests`: what it takes of its node.
    """

    namespace: str
    name: str
    uid: str
    identity: str
    preload: str
    node: str
    leaving: bool
    pulled: bool
    requests: Amounts
    instance: Instance

    @property
    def gone(self) -> bool:
        """Whether it is on its way out, and not because the cluster wants its place."""
        return self.leaving and not isinstance(self.instance.failure, Evicted)

    @property
    def settled(self) -> bool:
        """Whether waiting for its start makes no sense any more: it has started, or failed, or must wait for room."""
        now = self.instance
        return now.state is not State.CREATED or now.waiting is not None or now.failure is not None


def read(pod: Json) -> Pod:
    """The pod as this service needs it."""
    meta, status = pod["metadata"], pod.get("status") or {}
    labels = meta.get("labels") or {}
    identity = labels.get(APPLICATION, "")
    container = _container(status)
    leaving = meta.get("deletionTimestamp") is not None
    return Pod(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        identity=identity,
        preload=labels.get(PRELOAD, ""),
        node=(pod.get("spec") or {}).get("nodeName") or "",
        leaving=leaving,
        pulled=bool(container.get("imageID")),
        requests=requested(pod),
        instance=_instance(identity, pod, container),
    )


def _instance(identity: str, pod: Json, container: Json) -> Instance:
    status = pod.get("status") or {}
    jupyter = (pod["metadata"].get("labels") or {}).get(APP) == JUPYTER
    taken = _taken(pod, status)
    ended = (container.get("state") or {}).get("terminated")
    if ended is not None or taken is not None or status.get("phase") in ("Failed", "Succeeded"):
        ended = ended or {}
        out_of_memory = ended.get("reason") == "OOMKilled"
        return Instance(
            identity, State.EXITED, None, jupyter,
            exit_code=ended.get("exitCode"), out_of_memory=out_of_memory, ended=moment(ended.get("finishedAt")),
            ready=False, failure=taken or _why_it_ended(ended, status),
        )  # fmt: skip
    if "running" in (container.get("state") or {}):
        address = (status["podIP"], _port(pod)) if status.get("podIP") else None
        return Instance(identity, State.RUNNING, address, jupyter, ready=_condition(status, "Ready")[0] == "True")
    return Instance(
        identity, State.CREATED, None, jupyter, ready=False, waiting=_no_place(status), failure=_cannot_start(status)
    )


def _container(status: Json) -> Json:
    """The state of the application's container, or of the only one."""
    told = status.get("containerStatuses") or []
    return next((each for each in told if each.get("name") == CONTAINER), told[0] if len(told) == 1 else {})


def _taken(pod: Json, status: Json) -> BinderError | None:
    """Why the cluster ended it, if it did. A pod that is just being deleted is not ended yet."""
    reason, words = status.get("reason") or "", status.get("message") or ""
    if status.get("phase") == "Failed" and reason in _TAKEN:
        return Evicted(f"the cluster ended it ({reason}): {words[:_WORDS]}")
    disrupted, why, message = _condition(status, "DisruptionTarget")
    if disrupted == "True" and (pod["metadata"].get("deletionTimestamp") or status.get("phase") == "Failed"):
        return Evicted(f"the cluster ended it ({why}): {message[:_WORDS]}")
    return None


def _why_it_ended(ended: Json, status: Json) -> BinderError:
    words = str(ended.get("message") or status.get("message") or "")[:_WORDS]
    if ended.get("reason") == "OOMKilled":
        return ApplicationOutOfMemory()
    if ended.get("reason") in _NOT_STARTED:
        return InvalidTemplate(f"the template can't be run as it is: {words}")
    if not ended:
        return Crashed(f"the cluster ended its pod ({status.get('reason') or 'without a reason'}): {words}")
    code = ended.get("exitCode")
    if isinstance(code, int) and code > 128:
        return Crashed(f"the application was ended by signal {code - 128}")
    return Crashed(f"the application ended by itself, with exit code {code}")


def _cannot_start(status: Json) -> BinderError | None:
    told = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for waiting in _waiting(told):
        reason, words = waiting.get("reason") or "", str(waiting.get("message") or "")[:_WORDS]
        if reason in _NO_IMAGE:
            return ImageNotFound(f"the image can't be pulled ({reason}): {words}")
        if reason in _NO_START:
            return InvalidTemplate(f"the template can't be run as it is ({reason}): {words}")
    return None


def _waiting(told: Iterable[Json]) -> Iterable[Json]:
    for each in told:
        waiting = (each.get("state") or {}).get("waiting")
        if waiting is not None:
            yield waiting


def _no_place(status: Json) -> str | None:
    """The scheduler's words, where it found no node."""
    scheduled, reason, message = _condition(status, "PodScheduled")
    if scheduled == "False" and reason in ("Unschedulable", "SchedulingGated"):
        return message[:_WORDS] or reason
    return None


def _condition(status: Json, kind: str) -> tuple[str, str, str]:
    for each in status.get("conditions") or []:
        if each.get("type") == kind:
            return str(each.get("status")), str(each.get("reason") or ""), str(each.get("message") or "")
    return "", "", ""


def _port(pod: Json) -> int:
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    mine = next((each for each in containers if each.get("name") == CONTAINER), containers[0])
    ports = mine.get("ports") or [{}]
    return int(ports[0].get("containerPort") or 0)


def moment(text: Any) -> datetime | None:
    """RFC 3339 as the API has it."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
