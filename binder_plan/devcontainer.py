"""devcontainer.json: what of it a build can follow, and what is left aside with the reason. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from binder_plan.commented_json import parse
from binder_protocol.errors import InvalidRepository
from binder_protocol.models import IgnoredFile

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_IMAGE = re.compile(r"[\w][\w./:@-]{0,500}", re.ASCII)
_PATH = re.compile(r"[\w .+/-]{1,500}", re.ASCII)
_MOST, _LONGEST = 20, 8_000
_FOLLOWED = (
    *("name", "$schema", "image", "build", "dockerFile", "context", "containerEnv", "forwardPorts", "appPort"),
    *("onCreateCommand", "postCreateCommand", "overrideCommand"),
)
_REASONS = {
    "features": "features come from a registry; install what they bring by postCreateCommand",
    "remoteUser": "the image's own user is taken",
    "containerUser": "the image's own user is taken",
    "runArgs": "how a container is run is the operator's to say",
    "mounts": "an application gets no directory of the host",
    "privileged": "no application gets privileges",
    "capAdd": "no application gets privileges",
    "customizations": "it is about an editor",
    "dockerComposeFile": "an application is one container",
}
_OTHERS = "it has no effect on a build"


@dataclass(frozen=True, slots=True)
class DevContainer:
    """What devcontainer.json asks for: an `image`, or a `dockerfile` with the directory `context`, by paths from the
    root. `commands` run once the repository is there. `own_command`: that of the image is started.
    """

    image: str | None
    dockerfile: str | None = None
    context: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    commands: tuple[tuple[str, ...], ...] = ()
    own_command: bool = False
    ignored: tuple[IgnoredFile, ...] = ()


def read_facts(text: str, path: str) -> dict[str, Any]:
    """The object in devcontainer.json. Raises `InvalidRepository`."""
    try:
        facts = parse(text)
    except ValueError as error:
        raise _refusal(path, f"it is not JSON with comments: {error}") from None
    if not isinstance(facts, dict):
        raise _refusal(path, "it holds no object")
    return facts


def describes(facts: Mapping[str, Any]) -> bool:
    """Whether it names an image or a Dockerfile; one that names neither is about an editor alone, or about several."""
    return bool("image" in facts or _build(facts))


def read_devcontainer(facts: Mapping[str, Any], path: str) -> DevContainer:
    """What `facts`, the contents of the file at `path`, ask for. Raises `InvalidRepository`."""
    build = _build(facts)
    dockerfile = _place(build["dockerfile"], path, "dockerfile") if "dockerfile" in build else None
    image = None if dockerfile else facts.get("image")
    if dockerfile is None and not (isinstance(image, str) and _IMAGE.fullmatch(image)):
        raise _refusal(path, "image names no image")
    arguments, unknown = _variables(build.get("args"), path, "build.args")
    environment, unset = _variables(facts.get("containerEnv"), path, "containerEnv")
    reasons = {name[:64]: _REASONS.get(name, _OTHERS) for name in list(facts)[:100] if name not in _FOLLOWED}
    reasons |= {f"build.{name[:64]}": _OTHERS for name in build if name not in ("dockerfile", "context", "args")}
    reasons |= dict.fromkeys([*unknown, *unset], "its value is known on the machine of an editor alone")
    return DevContainer(
        image=image,
        dockerfile=dockerfile,
        context=_place(build.get("context", "."), path, "context") if dockerfile else "",
        arguments=arguments,
        environment=environment,
        port=_port(facts),
        commands=(*_commands(facts, "onCreateCommand", path), *_commands(facts, "postCreateCommand", path)),
        own_command=facts.get("overrideCommand") is False,
        ignored=tuple(IgnoredFile(path=f"{path}: {name}", reason=reason) for name, reason in reasons.items()),
    )


def _build(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    build = facts.get("build")
    if isinstance(build, dict) and build:
        return build
    if "dockerFile" in facts:  # how it was written at first
        return {"dockerfile": facts["dockerFile"], "context": facts.get("context", ".")}
    return {}


def _place(found: object, path: str, name: str) -> str:
    """A path beside devcontainer.json as one from the root, which is empty itself."""
    if not isinstance(found, str) or not _PATH.fullmatch(found) or found.startswith("/"):
        raise _refusal(path, f"build.{name} is no relative path")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), found))
    if place.startswith(".."):
        raise _refusal(path, f"build.{name} leads out of the repository")
    return "" if place == "." else place


def _variables(found: object, path: str, name: str) -> tuple[dict[str, str], list[str]]:
    """The variables, and the names of those whose values can't be told here."""
    if not isinstance(found, dict | None) or len(found or {}) > 256:
        raise _refusal(path, f"{name} is no table of variables")
    kept, unknown = {}, []
    for key, value in (found or {}).items():
        if not _VARIABLE.fullmatch(key) or not isinstance(value, str) or "\0" in value or len(value) > _LONGEST:
            raise _refusal(path, f"{name}: {key[:64]!r} is no variable with a text")
        if "${" in value:
            unknown.append(f"{name}.{key}")
        else:
            kept[key] = value
    return kept, unknown


def _port(facts: Mapping[str, Any]) -> int | None:
    for name in ("forwardPorts", "appPort"):
        found = facts.get(name)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, int) and not isinstance(each, bool) and 0 < each < 65_536:
                return each
    return None


def _commands(facts: Mapping[str, Any], name: str, path: str) -> tuple[tuple[str, ...], ...]:
    found = facts.get(name)
    given = list(found.values()) if isinstance(found, dict) else [found] if found else []
    if len(given) > _MOST:
        raise _refusal(path, f"{name} has more than {_MOST} commands")
    commands = []
    for each in given:
        words = ["/bin/sh", "-c", each] if isinstance(each, str) else each
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            raise _refusal(path, f"{name} is a text, a list of texts, or a table of those")
        if sum(map(len, words)) > _LONGEST or any("\0" in word for word in words):
            raise _refusal(path, f"{name} is too long")
        commands.append(tuple(words))
    return tuple(commands)


def _refusal(path: str, reason: str) -> InvalidRepository:
    return InvalidRepository(f"{path}: {reason}"[:300], suggestions=(f"correct {path}",))
