"""Templates: an image and how to launch it."""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from binder_protocol.labels import PREFIX
from binder_protocol.models.base import Milliseconds, Name, RequestModel, Time, WireModel
from binder_protocol.models.placement import Placement
from binder_protocol.models.quantities import memory_bytes, millicpus

PLACEHOLDERS = ("base-path", "port", "token")
"""What a command may name in braces; it is filled in at launch. Other words in braces are left as they are."""

_HOST_PART = "[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
# As Docker reads it: what stands before the first slash is a host only with a dot or a port, or as localhost.
_DOMAIN = rf"(?:(?=[^/]*[.:]|localhost/){_HOST_PART}(?:\.{_HOST_PART})*(?::[0-9]{{1,5}})?/)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"
_IMAGE = re.compile(rf"{_DOMAIN}{_COMPONENT}(?:/{_COMPONENT})*{_TAG}{_DIGEST}")
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_PREFIX = r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?"
_LABEL_KEY = re.compile(rf"{_LABEL_PREFIX}[A-Za-z0-9](?:[-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_EXTENDED = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RESERVED_DOMAINS = ("kubernetes.io", "k8s.io")
_RESERVED_LABELS = (PREFIX, "traefik.", "kubernetes.io/", "k8s.io/")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_-]+)\}")


def _image(text: str) -> str:
    grammar = _IMAGE_ID if text.startswith("sha256:") else _IMAGE
    if not grammar.fullmatch(text):
        raise ValueError("an image is named as [host/]path[:tag][@sha256:digest], or by its id sha256:…")
    return text


def _argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("an argument can't hold a NUL")
    for name in set(_PLACEHOLDER.findall(text)) - set(PLACEHOLDERS):
        if near := difflib.get_close_matches(name, PLACEHOLDERS, n=1, cutoff=0.8):
            raise ValueError(f"{{{name}}} is no placeholder; did you mean {{{near[0]}}}?")
    return text


def _environment(variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or len(name) > 256:
            raise ValueError(f"{name[:64]!r} can't name an environment variable")
        if "\0" in value or len(value) > 32_768:
            raise ValueError(f"the value of {name} holds a NUL or is longer than 32 KiB")
    return variables


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or key.startswith(_RESERVED_LABELS):
            raise ValueError(f"{key[:64]!r} is no label's key that Kubernetes takes, or it is reserved")
        if not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f"the value of label {key} is none that Kubernetes takes")
    return labels


def _health_path(path: str) -> str:
    if not _PATH.fullmatch(path) or path.startswith("//"):
        raise ValueError("a health path starts with one / and holds only characters of a URL's path and query")
    return path


def _extended(resources: dict[str, int]) -> dict[str, int]:
    for name in resources:
        if not _EXTENDED.fullmatch(name) or name.split("/")[0].endswith(_RESERVED_DOMAINS):
            raise ValueError(f"{name[:64]!r} is no extended resource; they are named as nvidia.com/gpu is")
    return resources


def _memory(text: str) -> str:
    memory_bytes(text)
    return text


def _cpu(text: str) -> str:
    millicpus(text)
    return text


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Image = Annotated[str, Field(max_length=512), AfterValidator(_image)]
Environment = Annotated[dict[str, str], Field(max_length=256), AfterValidator(_environment)]
Labels = Annotated[dict[str, str], Field(max_length=64), AfterValidator(_labels)]
Argument = Annotated[str, Field(max_length=8_192), AfterValidator(_argument)]
Command = Annotated[list[Argument], Field(min_length=1, max_length=256)]
Memory = Annotated[str, BeforeValidator(_text), Field(max_length=24), AfterValidator(_memory)]
Cpu = Annotated[str, BeforeValidator(_text), Field(max_length=12), AfterValidator(_cpu)]
Extended = Annotated[dict[str, Annotated[int, Field(ge=0, le=1_024)]], Field(max_length=8), AfterValidator(_extended)]
HealthPath = Annotated[str, Field(max_length=1_024), AfterValidator(_health_path)]


class Access(StrEnum):
    """Who may open an application: whoever holds its token, or whoever knows its address."""

    TOKEN = "token"  # noqa: S105
    PUBLIC = "public"


class Limits(RequestModel):
    """What one application may take. What isn't given is the operator's default.

    `disk` is local disk: what it writes to its container and, on a cluster, prints. A host that can't hold an
    application to that doesn't launch it. `extended` counts a cluster's other resources by name, such as GPUs:
    `{"nvidia.com/gpu": 1}`.
    """

    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Annotated[int, Field(ge=1, le=65_536)] | None = None
    disk: Memory | None = None
    extended: Extended | None = None


class TemplateSpec(RequestModel):
    """An image and how to launch it.

    `image` is best named by digest. `command` replaces that of the image; `{base-path}`, `{port}` and `{token}` in it
    are filled in. `cull-timeout` (of inactivity) and `max-age` are in ms. The application is healthy when `health-path`
    answers below its base path. `strip-prefix`: the application sees requests without its base path.
    `login`: the application checks the token itself; one that doesn't is guarded at the front door.
    `placement` is for a cluster: on which of its nodes.
    """

    name: Name
    image: Image
    command: Command | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] = 8888
    environment: Environment = {}
    limits: Limits = Limits()
    placement: Placement = Placement()
    cull_timeout: Milliseconds | None = None
    max_age: Milliseconds | None = None
    health_path: HealthPath = "/"
    access: Access = Access.TOKEN
    strip_prefix: bool = False
    login: bool = False
    labels: Labels = {}
    display_name: Annotated[str, Field(max_length=500)] | None = None


class Template(WireModel):
    """A template as it is registered. `image-name` and `image-source` are 2016's names for `name` and `image`."""

    name: str
    revision: int
    image: str
    image_name: str
    image_source: str
    command: list[str] | None = None
    port: int
    environment: dict[str, str] = {}
    limits: Limits = Limits()
    placement: Placement = Placement()
    cull_timeout: int | None = None
    max_age: int | None = None
    health_path: str = "/"
    access: Access = Access.TOKEN
    strip_prefix: bool = False
    login: bool = False
    labels: dict[str, str] = {}
    display_name: str | None = None
    time_created: Time
    time_modified: Time


class RollbackRequest(RequestModel):
    """The revision to return to; without one, the one before the newest."""

    revision: Annotated[int, Field(ge=1)] | None = None
