"""Which nodes of a cluster take an application, and what they are to know of it: in the words of the Kubernetes API."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from binder_protocol.models.base import RequestModel

_LONGEST_NAME = 253
_PART = r"[a-z0-9](?:[-a-z0-9]{0,251}[a-z0-9])?"
_NAME = re.compile(rf"{_PART}(?:\.{_PART})*")
_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RESERVED = "system-"
_YEAR = 366 * 24 * 3600


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no name of an object: lower-case letters, digits, hyphens and dots")
    return text


def _priority_class(text: str) -> str:
    if text.startswith(_RESERVED):
        raise ValueError(f"priority classes named {_RESERVED}* are for the cluster's own pods")
    return _name(text)


def _key(text: str) -> str:
    prefix, slash, word = text.rpartition("/")
    if not _WORD.fullmatch(word) or (slash and (len(prefix) > _LONGEST_NAME or not _NAME.fullmatch(prefix))):
        raise ValueError(f"{text[:64]!r} is no key that Kubernetes takes: such as pool, or example.org/pool")
    return text


def _value(text: str) -> str:
    if text and not _WORD.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no value of a label: 63 letters, digits, hyphens, dots or underscores")
    return text


ObjectName = Annotated[str, AfterValidator(_name)]
PriorityClass = Annotated[str, AfterValidator(_priority_class)]
Key = Annotated[str, AfterValidator(_key)]
Value = Annotated[str, AfterValidator(_value)]
NodeSelector = Annotated[dict[Key, Value], Field(max_length=16)]
PullSecrets = Annotated[list[ObjectName], Field(max_length=16)]


class Toleration(RequestModel):
    """A taint that an application bears. `Exists` of no key bears every one.

    `toleration-seconds`: how long it stays where the effect is `NoExecute`; without it for ever.
    """

    key: Key | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: Value | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0, le=_YEAR)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.key is None and self.operator != "Exists":
            raise ValueError("a toleration without a key needs the operator Exists")
        if self.value and self.operator == "Exists":
            raise ValueError("a toleration with the operator Exists has no value")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("toleration-seconds are for the effect NoExecute alone")
        return self


class Placement(RequestModel):
    """Where on a cluster an application runs. The operator's settings say what isn't given, and what may be.

    `node-selector` goes before the operator's key by key, `priority-class` before the operator's; `tolerations` and
    `pull-secrets` are added to the operator's. One machine is one node: Docker has nothing to place, and leaves all of
    it unread, so that one template serves a cluster and a laptop.
    """

    node_selector: NodeSelector | None = None
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    priority_class: PriorityClass | None = None
    pull_secrets: PullSecrets | None = None
