"""How models look on the wire: kebab-case; requests may spell their fields in camelCase or snake_case as well."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from binder_protocol import names


def kebab(name: str) -> str:
    """`startTime`, `start_time` and `start-time` as `start-time`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).replace("_", "-").lower()


class WireModel(BaseModel):
    """What goes over the wire. Frozen; unknown fields of an answer are ignored, so that servers may be newer."""

    model_config = ConfigDict(alias_generator=kebab, populate_by_name=True, frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, data: Any) -> Any:
        if not isinstance(data, dict) or any(data.keys() <= names for names in _spellings(cls)):
            return data  # the common case: one spelling throughout
        spelled: dict[Any, Any] = {}
        for key, value in data.items():
            name = kebab(key) if isinstance(key, str) else key
            if name in spelled:
                raise ValueError(f"{name} is given twice, in two spellings")
            spelled[name] = value
        return spelled

    def wire(self) -> dict[str, Any]:
        """The JSON object that goes over the wire; fields without a value are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@functools.cache
def _spellings(cls: type[WireModel]) -> tuple[frozenset[str], frozenset[str]]:
    """The names of its fields on the wire and in Python; pydantic takes its time to tell them."""
    return frozenset(kebab(name) for name in cls.model_fields), frozenset(cls.model_fields)


class RequestModel(WireModel):
    """A request: a field that isn't known is an error, for it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name(text: str) -> str:
    if not names.is_name(text):
        raise ValueError("a name is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end")
    return text


Time = Annotated[datetime, AfterValidator(_utc), PlainSerializer(_rfc3339, when_used="json")]
"""A moment in UTC; RFC 3339 with milliseconds on the wire."""

Name = Annotated[str, Field(max_length=names.MAX_LENGTH), AfterValidator(_name)]
"""A DNS label."""

Milliseconds = Annotated[int, Field(ge=1, le=366 * 24 * 3_600_000)]
"""A duration of 1 ms to a year."""


class Failure(WireModel):
    """Why something failed: the type of the error tree, words, the failing step and its last lines."""

    type: str
    message: str
    step: str | None = None
    log: list[str] = []
    suggestions: list[str] = []
