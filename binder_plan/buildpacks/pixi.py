"""pixi: what pixi.lock holds for the environment `default`; without it, what the manifest asks for by default."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from binder_plan.buildpacks.conda import conda_calls, locked_parts, spec_parts
from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.conda.channels import DEFAULT, channel_urls
from binder_plan.conda.locks import MAX_LOCK, PLATFORM, parse_pixi_lock
from binder_plan.conda.spec import CondaSpec, check_pip, check_spec, invalid, spec_channels
from binder_plan.recipe import Base, PlanSettings
from binder_protocol.errors import InvalidRepository

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_IGNORED = ("feature", "environments", "tasks", "pypi-options", "build-dependencies", "host-dependencies")


class Pixi:
    """Gives way to requirements.txt, which is Binder's own: such repositories build as they always did."""

    name = "pixi"

    def detect(self, folder: Folder) -> Detection | None:
        manifest = _manifest_file(folder)
        if manifest is None or folder.find("requirements.txt"):
            return None
        lock = folder.find("pixi.lock")
        if lock:
            return Detection(f"{lock} locks an environment of pixi", (lock, manifest))
        return Detection(f"{manifest} describes an environment of pixi", (manifest,))

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        manifest, lock = _manifest_file(folder), folder.find("pixi.lock")
        assert manifest is not None
        warnings = conda_calls(folder)
        if lock:
            found = parse_pixi_lock(folder.tree.text(lock, MAX_LOCK), lock, settings)
            return locked_parts(found, lock, settings, (), warnings)
        spec = read_manifest(_pixi(folder, manifest), manifest, settings)
        return spec_parts(spec, manifest, settings, (), warnings)


def read_manifest(facts: dict[str, Any], path: str, settings: PlanSettings) -> CondaSpec:
    """The environment that pixi makes by default. Raises `InvalidRepository` that names the entry."""
    workspace = _table(facts, path, "workspace") or _table(facts, path, "project")
    channels = [url for each in _channels(workspace, path) for url in channel_urls(each, path, settings)] or [DEFAULT]
    target = ("target", PLATFORM)
    wanted = {**_table(facts, path, "dependencies"), **_table(facts, path, *target, "dependencies")}
    pypi = {**_table(facts, path, "pypi-dependencies"), **_table(facts, path, *target, "pypi-dependencies")}
    specs = []
    for name, value in wanted.items():
        spec = check_spec(_spec(name, value, path), f"{path}, dependency {name[:50]}")
        specs.append(spec)
        channels += spec_channels(spec, f"{path}, dependency {name[:50]}", settings)
    left_out = [name for name in _IGNORED if facts.get(name)]
    return CondaSpec(
        channels=tuple(dict.fromkeys(channels)),
        specs=tuple(specs),
        pip=tuple(_requirement(name, value, path, settings) for name, value in pypi.items()),
        variables=_activation(facts, path),
        warnings=(f"{path}: {', '.join(left_out)}: without effect on the default environment here",)
        if left_out
        else (),
    )


def _spec(name: str, value: Any, path: str) -> str:
    if isinstance(value, str):
        return f"{name} {value}"
    if not isinstance(value, dict) or not set(value) <= {"version", "build", "channel"}:
        raise invalid(path, None, f"the dependency {name[:50]} is none of a channel")
    if not all(isinstance(each, str) for each in value.values()):
        raise invalid(path, None, f"the dependency {name[:50]} can't be read")
    channel = f"{value['channel']}::" if "channel" in value else ""
    build = f'[build="{value["build"]}"]' if "build" in value else ""
    return f"{channel}{name} {value.get('version', '*')}{build}"


def _requirement(name: str, value: Any, path: str, settings: PlanSettings) -> str:
    where = f"{path}, dependency {name[:50]}"
    if isinstance(value, str):
        value = {"version": value}
    if not isinstance(value, dict) or not _NAME.fullmatch(name):
        raise InvalidRepository(f"{where}: this is no package of PyPI", suggestions=(f"correct {path}",))
    version, extras = value.get("version", "*"), value.get("extras", [])
    if "path" in value:
        return check_pip(f"{'-e ' if value.get('editable') else ''}./{value['path']}", where, settings)
    if "git" in value:
        revision = next((f"@{value[key]}" for key in ("rev", "tag", "branch") if key in value), "")
        return check_pip(f"{name} @ git+{value['git']}{revision}", where, settings)
    if "url" in value:
        return check_pip(f"{name} @ {value['url']}", where, settings)
    if (
        not isinstance(version, str)
        or not isinstance(extras, list)
        or not all(isinstance(each, str) for each in extras)
    ):
        raise InvalidRepository(f"{where}: this is no package of PyPI", suggestions=(f"correct {path}",))
    chosen = f"[{','.join(extras)}]" if extras else ""
    return check_pip(f"{name}{chosen}{'' if version == '*' else version}", where, settings)


def _activation(facts: dict[str, Any], path: str) -> dict[str, str]:
    variables = _table(facts, path, "activation", "env")
    if not all(_VARIABLE.fullmatch(name) and isinstance(value, str) for name, value in variables.items()):
        raise invalid(path, None, "activation.env must be names and values")
    return variables


def _channels(workspace: dict[str, Any], path: str) -> list[str]:
    found = workspace.get("channels", [])
    names: list[Any]
    names = (
        [each.get("channel") if isinstance(each, dict) else each for each in found] if isinstance(found, list) else []
    )
    if not isinstance(found, list) or not all(isinstance(each, str) for each in names):
        raise invalid(path, None, "channels must be a list of names")
    return names


def _manifest_file(folder: Folder) -> str | None:
    path = folder.find("pixi.toml")
    if path:
        return path
    path = folder.find("pyproject.toml")
    return path if path and _pixi(folder, path) else None


def _pixi(folder: Folder, path: str) -> dict[str, Any]:
    """The manifest; in pyproject.toml it is a table of its own."""
    try:
        facts = tomllib.loads(folder.tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None
    if path.endswith("pixi.toml"):
        return facts
    return _table(facts, path, "tool", "pixi")


def _table(facts: dict[str, Any], path: str, *keys: str) -> dict[str, Any]:
    found: Any = facts
    for key in keys:
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise invalid(path, None, f"{'.'.join(keys)} must be a table")
    return dict(found)
