"""environment.yml: channels, specs, lines for pip, variables. All in it is data; none of it reaches a shell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from binder_plan.addresses import check_addresses
from binder_plan.conda.channels import DEFAULT, channel_urls
from binder_plan.conda.yamlfile import Text, Value, parse_yaml
from binder_plan.recipe import PlanSettings
from binder_protocol.errors import InvalidRepository

MAX_SPECS = 2_000
_KNOWN = {"name", "channels", "dependencies", "prefix", "variables"}
_SPEC = re.compile(
    r"(?:(?P<channel>[^\s\[\]:]{1,200})::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})"
    r"(?P<version>[ A-Za-z0-9_.*+!=<>~^|,()-]{0,200})(?P<brackets>\[[^\[\]]{1,200}\])?"
)
_VALUE = r"(?:'[\w.*+!=<>~^|, ()-]*'|\"[\w.*+!=<>~^|, ()-]*\"|[\w.*+-]+)"
_BRACKETS = re.compile(rf"\[\s*(?:(?:version|build|build_number)\s*=\s*{_VALUE}\s*,?\s*)+\]", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class CondaSpec:
    """What is to be solved: `channels` are addresses in the order of their priority, `pip` lines of requirements."""

    channels: tuple[str, ...] = (DEFAULT,)
    specs: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def parse_environment(text: str, path: str, settings: PlanSettings) -> CondaSpec:
    """Raises `InvalidRepository` that names the line."""
    facts = parse_yaml(text, path)
    if facts is None:
        return CondaSpec()
    if not isinstance(facts, dict):
        raise invalid(path, None, "this is no environment: it must have the keys channels and dependencies")
    channels = [url for each in _texts(facts, "channels", path) for url in channel_urls(each, at(path, each), settings)]
    channels = channels or [DEFAULT]
    specs: dict[str, None] = {}
    pip: list[str] = []
    for entry in _list(facts, "dependencies", path):
        if isinstance(entry, Text):
            specs[check_spec(entry, at(path, entry))] = None
            channels += spec_channels(entry, at(path, entry), settings)
        elif isinstance(entry, dict) and set(entry) == {"pip"}:
            pip += [check_pip(each, at(path, each), settings) for each in _texts(entry, "pip", path)]
        elif entry is not None:
            raise invalid(path, None, "dependencies are specs such as numpy=2.1, and one list `pip:`")
    if len(specs) + len(pip) > MAX_SPECS:
        raise invalid(path, None, f"more than {MAX_SPECS} packages are named")
    unknown = sorted(facts.keys() - _KNOWN)
    return CondaSpec(
        channels=tuple(dict.fromkeys(channels)),
        specs=tuple(specs),
        pip=tuple(pip),
        variables=_variables(facts.get("variables"), path),
        warnings=(f"{path}: {', '.join(unknown)[:100]} has no effect",) if unknown else (),
    )


def check_spec(spec: str, where: str) -> str:
    """`spec` without spaces around it, where it is one of a package."""
    spec = spec.strip()
    match = _SPEC.fullmatch(spec)
    if match is None or (match["brackets"] and not _BRACKETS.fullmatch(match["brackets"])):
        raise InvalidRepository(
            f"{where}: this is no spec of a conda package",
            suggestions=("one package in each line, such as numpy, numpy=2.1 or conda-forge::numpy>=2,<3",),
        )
    return spec


def spec_channels(spec: str, where: str, settings: PlanSettings) -> tuple[str, ...]:
    """The addresses of the channel that a spec names, if it does: it is asked after all others."""
    match = _SPEC.fullmatch(spec.strip())
    channel = match["channel"] if match else None
    return channel_urls(channel, where, settings) if channel else ()


def check_pip(line: str, where: str, settings: PlanSettings) -> str:
    """`line` as one of a requirements file that may be installed; uv says what else is wrong with it."""
    if len(line) > 1_000 or not line.isprintable():
        raise InvalidRepository(f"{where}: this is no line of requirements", suggestions=("one package in each line",))
    check_addresses(line, where, settings.registry_allowed)
    return line


def package_name(spec: str) -> str:
    """The name in a spec that was checked."""
    match = _SPEC.fullmatch(spec)
    assert match is not None
    return match["name"].lower()


def package_version(spec: str) -> str:
    """What a spec that was checked asks of the version."""
    match = _SPEC.fullmatch(spec)
    assert match is not None
    return match["version"].strip().strip("=").split("=")[0]


def at(path: str, value: Value) -> str:
    """Where it stands, for people."""
    return f"{path}, line {value.line}" if isinstance(value, Text) else path


def invalid(path: str, value: Value, what: str) -> InvalidRepository:
    """The refusal of a value in `path`."""
    return InvalidRepository(f"{at(path, value)}: {what}"[:300], suggestions=(f"correct {path}",))


def _list(facts: dict[str, Value], key: str, path: str) -> list[Value]:
    found = facts.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise invalid(path, found, f"{key} must be a list")
    return found


def _texts(facts: dict[str, Value], key: str, path: str) -> list[Text]:
    texts = []
    for each in _list(facts, key, path):
        if not isinstance(each, Text):
            raise invalid(path, each, f"{key} must be a list of plain words")
        texts.append(each)
    return texts


def _variables(facts: Value, path: str) -> dict[str, str]:
    if facts is None:
        return {}
    if not isinstance(facts, dict) or len(facts) > 200:
        raise invalid(path, facts, "variables must be names and values")
    for name, value in facts.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(value, Text | None):
            raise invalid(path, value, "variables must be names and values")
    return {name: str(value or "") for name, value in facts.items()}
