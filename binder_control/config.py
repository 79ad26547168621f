"""The whole configuration: what each service will read, where each value comes from, and what is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from binder_control.addresses import own_addresses
from binder_control.config_faults import misspelt_tables, with_line
from binder_control.default_config import DEFAULT_CONFIG
from binder_control.derived import derived
from binder_control.errors import ControlError
from binder_control.paths import Paths, home_of
from binder_control.services import SERVICES, Service
from binder_control.settings import ControlSettings
from binder_protocol.service.setting_names import as_variable, settings_of, value_of
from binder_protocol.service.settings import ConfigError, ServiceSettings

HIDDEN = "[hidden]"
DERIVED = "follows from other settings"
_CONTROL = Service("control", "", "binder_control.settings:ControlSettings", "")
_COMMON = frozenset(ServiceSettings.model_fields) - {"port"}


@dataclass(frozen=True)
class Value:
    """One setting as it takes effect; `source` is a variable, a place in the file, or `default`."""

    section: str
    name: str
    value: object
    source: str


@dataclass(frozen=True)
class Configuration:
    """The settings of all services, and the variables that tell the services one another's addresses."""

    paths: Paths
    file: Path
    control: ControlSettings
    services: Mapping[str, ServiceSettings]
    derived: Mapping[str, str]

    @property
    def key(self) -> str | None:
        """The API key, once there is one."""
        return None if self.control.api_key is None else self.control.api_key.get_secret_value()

    @property
    def address(self) -> str:
        """The front door's address as people see it."""
        return self.control.public_url


def load(environ: Mapping[str, str]) -> Configuration:
    """The configuration that `environ` and its binder.toml give. Raises ConfigError, which names every fault.

    A service's port is said once: the addresses by which the others reach it follow from it, unless they are given.
    """
    file = config_file(environ)
    first = _load_all(environ, file)
    table = _table(file)
    given = {
        name: {each for each in settings_of(type(settings)) if _given(name, each, environ, table)}
        for name, settings in first.items()
    }
    variables = derived(first, given, environ.get("DOCKER_HOST"), own_addresses)
    loaded = _load_all({**environ, **variables}, file)
    control = loaded.pop("control")
    assert isinstance(control, ControlSettings)
    return Configuration(Paths(control.home), file, control, loaded, variables)


def config_file(environ: Mapping[str, str]) -> Path:
    """The file that is read, whether it exists or not."""
    named = environ.get("BINDER_CONFIG")
    return Path(named).absolute() if named else home_of(environ) / "binder.toml"


def write_default(file: Path) -> bool:
    """Writes the commented default where there is no file; returns whether it did."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(DEFAULT_CONFIG)
    except FileExistsError:
        return False
    except OSError as error:
        raise ControlError(f"{file} can't be written: {error.strerror}") from error
    return True


def values(configuration: Configuration, environ: Mapping[str, str]) -> Iterator[Value]:
    """Every setting with its source; secrets are hidden."""
    table = _table(configuration.file)
    for section, settings in {"control": configuration.control, **configuration.services}.items():
        for name in settings_of(type(settings)):
            source = _given(section, name, environ, table)
            if _variables(section, name) & configuration.derived.keys():
                source = DERIVED if source is None else f"{source}, and {DERIVED}"
            if source is None and name == "api_key" and settings.api_key is not None:
                source = str(configuration.paths.key)
            shown = _shown(value_of(settings, name))
            yield Value(section, name, shown, (source or "default").replace("{file}", str(configuration.file)))


def _load_all(environ: Mapping[str, str], file: Path) -> dict[str, ServiceSettings]:
    # A fault in a common setting is found by every service, and told once.
    faults: dict[str, None] = dict.fromkeys(misspelt_tables(file, _table(file)))
    loaded: dict[str, ServiceSettings] = {}
    for service in () if faults else (_CONTROL, *SERVICES):
        try:
            loaded[service.name] = service.load(environ)
        except ConfigError as error:
            faults.update(dict.fromkeys(str(error).splitlines()))
    if faults:
        raise ConfigError("\n".join(with_line(fault, file) for fault in faults))
    return loaded


def _table(file: Path) -> dict[str, object]:
    """What the file says, or nothing where it can't be read: loading the settings says so."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _variables(section: str, name: str) -> set[str]:
    return {f"BINDER_{section.upper()}_{as_variable(name)}"} | (
        {f"BINDER_{name.upper()}"} if name in _COMMON else set()
    )


def _given(section: str, name: str, environ: Mapping[str, str], table: Mapping[str, object]) -> str | None:
    """Where a setting was given, in the order of precedence; None where nobody did. `{file}` stands for the file."""
    own = f"BINDER_{section.upper()}_{as_variable(name)}"
    if own in environ:
        return own
    if name in _COMMON and f"BINDER_{name.upper()}" in environ:
        return f"BINDER_{name.upper()}"
    inside, _, inner = name.rpartition(".")
    own_table = table.get(section)
    if inside:
        own_table = own_table.get(inside) if isinstance(own_table, dict) else None
    if isinstance(own_table, dict) and inner in {key.replace("-", "_") for key in own_table}:
        return f"{{file}} [{section}{'.' + inside if inside else ''}]"
    if name in _COMMON and name in {key.replace("-", "_") for key in table}:
        return "{file}"
    return None


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str) and "@" in value:
        return re.sub(r"(?<=://)[^/@\s]+@", f"{HIDDEN}@", value)
    return value
