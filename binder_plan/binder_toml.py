"""binder.toml in a repository: how its application wishes to be launched."""

from __future__ import annotations

import difflib
import tomllib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from binder_protocol.errors import InvalidRepository
from binder_protocol.models.base import kebab
from binder_protocol.models.registry import Argument, Command, Cpu, Environment, HealthPath, Memory

_OURS = ("PORT", "JUPYTER_TOKEN")


def _not_ours(environment: dict[str, str]) -> dict[str, str]:
    for name in environment:
        if name in _OURS or name.startswith("BINDER_"):
            raise ValueError(f"{name} is set by Binder at launch")
    return environment


class BinderToml(BaseModel):
    """The entries of binder.toml, in kebab-case; what isn't given is left to others.

    A `command` that is one string is run by a shell. `strip-prefix`: the application sees requests without the path
    at which the front door carries it.
    """

    model_config = ConfigDict(alias_generator=kebab, extra="forbid", frozen=True, strict=True)

    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    command: Command | Annotated[Argument, Field(min_length=1)] | None = None
    health_path: HealthPath | None = None
    environment: Annotated[Environment, AfterValidator(_not_ours)] = {}
    memory: Memory | None = None
    cpu: Cpu | None = None
    strip_prefix: bool | None = None


def parse_binder_toml(text: str, path: str = "binder.toml") -> BinderToml:
    """Raises `InvalidRepository` that names the line or the entry."""
    try:
        return BinderToml.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None
    except ValidationError as error:
        raise _refusal(path, error.errors(include_url=False, include_input=False)[0]) from None


def _refusal(path: str, found: Any) -> InvalidRepository:
    known = [kebab(name) for name in BinderToml.model_fields]
    name = str(found["loc"][0])[:64]
    if found["type"] != "extra_forbidden":
        reason = str(found["msg"]).removeprefix("Value error, ")
        return InvalidRepository(f"{path}, {name}: {reason}"[:300], suggestions=(f"correct {name} in {path}",))
    near = difflib.get_close_matches(kebab(name), known, n=1, cutoff=0.5)
    suggestion = f"did you mean {near[0]}?" if near else f"{path} may hold {', '.join(known)}"
    return InvalidRepository(f"{path} has no entry {name}", suggestions=(suggestion,))
