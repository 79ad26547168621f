"""Credentials kept by the build service: put by name, used by name, never told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from binder_protocol.models.base import RequestModel, Time, WireModel

SHORTEST_SECRET, LONGEST_SECRET = 6, 16_384


class CredentialKind(StrEnum):
    """`git`: for the repositories of one host. `index`: a Python package index. `value`: for the steps of a build."""

    GIT = "git"
    INDEX = "index"
    VALUE = "value"


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an index has an address as https://host/path")
    if "@" in parts.netloc:
        raise ValueError("the address of an index holds no login; give `user` and `secret`")
    return text


Visible = Annotated[str, Field(pattern=r"^[!-~]+$")]
Host = Annotated[Visible, Field(max_length=255)]
User = Annotated[Visible, Field(max_length=255)]
Address = Annotated[Visible, Field(max_length=2_000), AfterValidator(_address)]


class CredentialRequest(RequestModel):
    """`host` goes with `git`, `url` and `user` with `index`. What is shorter couldn't be told apart in a log."""

    kind: CredentialKind
    host: Host | None = None
    url: Address | None = None
    user: User | None = None
    secret: str = Field(min_length=SHORTEST_SECRET, max_length=LONGEST_SECRET, repr=False)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        given = {name for name in ("host", "url", "user") if getattr(self, name) is not None}
        needed = {CredentialKind.GIT: {"host"}, CredentialKind.INDEX: {"url"}, CredentialKind.VALUE: set[str]()}
        allowed = needed[self.kind] | ({"user"} if self.kind is CredentialKind.INDEX else set())
        if not needed[self.kind] <= given <= allowed:
            wanted = " and ".join(f"`{name}`" for name in needed[self.kind]) or "a secret alone"
            raise ValueError(f"a credential of the kind {self.kind} has {wanted}")
        if self.kind is not CredentialKind.VALUE and not (self.secret.isprintable() and self.secret.isascii()):
            raise ValueError("a token or password has plain characters alone")
        if "\0" in self.secret:
            raise ValueError("a secret is text")
        return self


class Credential(WireModel):
    """A credential without what is secret of it."""

    name: str
    kind: CredentialKind
    host: str | None = None
    url: str | None = None
    user: str | None = None
    created: Time
    changed: Time
