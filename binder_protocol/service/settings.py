"""Settings of a service: facts read once at start from binder.toml and BINDER_* variables; unknown names are errors."""

from __future__ import annotations

import importlib.util
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from binder_protocol.service.setting_names import as_variable, from_variable, in_tables, nearest, settings_of, table_of

SECTIONS = ("build", "registry", "deploy", "health", "web", "control", "client")
"""Tables of binder.toml and prefixes of variables; a service reads its own and leaves the others alone."""

_PREFIX = "BINDER_"
_NOT_SETTINGS = frozenset({"BINDER_CONFIG", "BINDER_URL"})
_OWN_ONLY = frozenset({"port"})
_MAX_KEY = 1_024
_SERVERS = frozenset({"postgres", "postgresql"})
_DATABASES = _SERVERS | {"sqlite"}


class ConfigError(Exception):
    """The configuration can't be used; the message names every fault and where it stands."""


class ServiceSettings(BaseModel):
    """What every service is told. A service adds its own fields in a subclass; durations there are in seconds.

    `public_url` is the front door as people see it. The `*_url` are how the services reach one another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    section: ClassVar[str]

    home: Path = Path("~/.binder")
    api_key: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65_535)
    build_url: str = "http://127.0.0.1:8082"
    registry_url: str = "http://127.0.0.1:8083"
    deploy_url: str = "http://127.0.0.1:8084"
    health_url: str = "http://127.0.0.1:8086"
    public_url: str = "http://127.0.0.1:8080"
    database_url: str | None = Field(default=None, repr=False)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    max_request_bytes: int = Field(default=1_048_576, ge=1_024, le=1_073_741_824)
    threads: int = Field(default=24, ge=1, le=1_000)
    stop_seconds: float = Field(default=10, ge=0, le=600)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _can_be_used(cls, url: str | None) -> str | None:
        scheme = "" if url is None else url.partition(":")[0].partition("+")[0]
        if url is not None and scheme not in _DATABASES:
            raise ValueError("a database is sqlite:////PATH or postgresql://USER:PASSWORD@HOST/NAME")
        if scheme in _SERVERS and importlib.util.find_spec("psycopg") is None:
            raise ValueError("PostgreSQL needs psycopg: pip install 'binder[postgres]'")
        return url

    @field_validator("api_key")
    @classmethod
    def _key_can_be_sent(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        text = key.get_secret_value()
        if not text or len(text) > _MAX_KEY or not all("!" <= character <= "~" for character in text):
            raise ValueError(f"a key is 1 to {_MAX_KEY} visible ASCII characters without spaces")
        return key

    @model_validator(mode="after")
    def _urls_without_slash(self) -> Self:
        for name in ("build_url", "registry_url", "deploy_url", "health_url", "public_url"):
            url: str = getattr(self, name)
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{name} must begin with http:// or https://")
            object.__setattr__(self, name, url.rstrip("/"))
        return self

    @property
    def state_dir(self) -> Path:
        """The directory of this service's state; its owner makes it."""
        return self.home / self.section

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the service's database."""
        return self.database_url or f"sqlite:///{self.state_dir / 'state.db'}"


S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class _Given:
    """One value somebody set, and where. `own`: in the section's table or variable, so it beats the common one."""

    name: str
    value: Any
    where: str
    own: bool


def load_settings(cls: type[S], *, file: Path | None = None, environ: Mapping[str, str] | None = None) -> S:
    """The settings of a service: a variable beats the file, a section's own value the common one.

    The file is `file`, else $BINDER_CONFIG, else <home>/binder.toml if there is one. The API key is that of the
    settings, else the contents of <home>/key. Raises ConfigError, which names all faults.
    """
    environ = os.environ if environ is None else environ
    home = Path(environ.get("BINDER_HOME") or ServiceSettings.model_fields["home"].default).expanduser()
    named = file or (Path(environ["BINDER_CONFIG"]) if environ.get("BINDER_CONFIG") else None)
    faults: list[str] = []
    chosen: dict[str, _Given] = {}
    for given in (*_from_file(cls, named or home / "binder.toml", named is not None), *_from_environ(cls, environ)):
        fault = _fault_in_name(cls, given)
        if fault:
            faults.append(fault)
        elif given.name not in chosen or given.own or not chosen[given.name].own or _is_variable(given):
            chosen[given.name] = given
    values = {given.name: given.value for given in chosen.values()}
    if faults:
        raise ConfigError("\n".join(faults))
    settings = _validated(cls, values, chosen)
    if settings.api_key is None:
        key = _read_key(settings.home / "key")
        if key is not None:
            settings = _validated(cls, values | {"api_key": key}, chosen)
    return settings


def _is_variable(given: _Given) -> bool:
    return given.where.startswith(_PREFIX)


def _from_file(cls: type[ServiceSettings], file: Path, must_exist: bool) -> Iterator[_Given]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"{file}: there is no such file") from None
        return
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    own: dict[str, Any] = {}
    for key, value in table.items():
        if key in SECTIONS and isinstance(value, dict):
            own = value if key == cls.section else own
        else:
            yield _Given(key.replace("-", "_"), value, f"{file}: {key}", own=False)
    for key, value in own.items():
        name = key.replace("-", "_")
        if isinstance(value, dict) and table_of(cls.model_fields.get(name)) is not None:
            for inner, each in value.items():
                where = f"{file}: [{cls.section}.{key}] {inner}"
                yield _Given(f"{name}.{inner.replace('-', '_')}", each, where, own=True)
        else:
            yield _Given(name, value, f"{file}: [{cls.section}] {key}", own=True)


def _from_environ(cls: type[ServiceSettings], environ: Mapping[str, str]) -> Iterator[_Given]:
    own: list[_Given] = []
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS:
            continue
        name = variable.removeprefix(_PREFIX).lower()
        section, _, rest = name.partition("_")
        if name in _common():
            yield _Given(name, _parsed(cls, name, environ[variable]), variable, own=False)
        elif section == cls.section:
            setting = from_variable(cls, rest)
            own.append(_Given(setting, _parsed(cls, setting, environ[variable]), variable, own=True))
        elif section not in SECTIONS:
            yield _Given(name, environ[variable], variable, own=False)
    yield from own


def _common() -> frozenset[str]:
    return frozenset(ServiceSettings.model_fields) - _OWN_ONLY


def _parsed(cls: type[ServiceSettings], name: str, text: str) -> Any:
    """A variable's text as its field wants it: a list is JSON, or words between commas; empty is no value."""
    field = settings_of(cls).get(name)
    if field is None or get_origin(field.annotation) not in (list, tuple, set, frozenset, dict):
        return text
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [word.strip() for word in text.split(",") if word.strip()]


def _fault_in_name(cls: type[ServiceSettings], given: _Given) -> str | None:
    known = frozenset(settings_of(cls)) if given.own else _common()
    if given.name in known:
        return None
    if table_of(cls.model_fields.get(given.name)) is not None:
        return f"{given.where}: this is a table of settings: write them below [{cls.section}.{given.name}]"
    if given.name in cls.model_fields:
        variable = f"{_PREFIX}{cls.section.upper()}_{given.name.upper()}"
        return f"{given.where}: this belongs to one service; write it below [{cls.section}], or set {variable}"
    meant = nearest(given.name, known)
    hint = f"; did you mean {_as_written(given, cls, meant)}?" if meant else ""
    return f"{given.where}: there is no such setting{hint}"


def _as_written(given: _Given, cls: type[ServiceSettings], name: str) -> str:
    if not _is_variable(given):
        table, _, inner = name.rpartition(".")
        outside = table and not given.name.startswith(f"{table}.")
        return (name if outside else inner).replace("_", "-")
    return f"{_PREFIX}{cls.section.upper() + '_' if given.own else ''}{as_variable(name)}"


def _validated(cls: type[S], values: Mapping[str, Any], chosen: Mapping[str, _Given]) -> S:
    try:
        return cls(**in_tables(values))
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(each) for each in fault["loc"][:2])
            name = name if name in chosen else name.partition(".")[0]
            where = chosen[name].where if name in chosen else name or "settings"
            faults.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
        raise ConfigError("\n".join(faults)) from None


def _read_key(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the API key can't be read: {error}") from error
