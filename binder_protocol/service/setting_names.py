"""The names of a service's settings. A setting whose value is a table of settings is written as `table.name`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def settings_of(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """Every setting by its name, those in tables included."""
    found: dict[str, FieldInfo] = {}
    for name, field in cls.model_fields.items():
        table = table_of(field)
        if table is None:
            found[name] = field
        else:
            found.update({f"{name}.{inner}": each for inner, each in table.model_fields.items()})
    return found


def table_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model of a setting that is a table; else None."""
    kind = None if field is None else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def from_variable(cls: type[BaseModel], rest: str) -> str:
    """The setting that a variable's name means, without its prefix and in lower case."""
    for name, field in cls.model_fields.items():
        if table_of(field) is not None and rest.startswith(f"{name}_"):
            return f"{name}.{rest.removeprefix(f'{name}_')}"
    return rest


def as_variable(name: str) -> str:
    """A setting's name as it stands in a variable's."""
    return name.replace(".", "_").upper()


def value_of(settings: BaseModel, name: str) -> object:
    """The value of the setting of that name."""
    table, _, inner = name.rpartition(".")
    return getattr(getattr(settings, table) if table else settings, inner)


def in_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"table.name": value}` as `{"table": {"name": value}}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        table, _, inner = name.rpartition(".")
        (found.setdefault(table, {}) if table else found)[inner] = value
    return found


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    spelled = {each.replace("_", "-"): each for each in known}
    found = difflib.get_close_matches(name.replace("_", "-"), spelled, n=1, cutoff=0.5)
    return spelled[found[0]] if found else None
