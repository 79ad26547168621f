"""Settings: which value wins, and which mistakes are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from binder_protocol.service.settings import ConfigError, ServiceSettings, load_settings


class KitchenSettings(ServiceSettings):
    section: ClassVar[str] = "build"

    port: int = 8082
    workers: int = Field(default=2, ge=1)
    allowed_hosts: tuple[str, ...] = ()
    quick: bool = False


def write(home: Path, text: str) -> dict[str, str]:
    (home / "binder.toml").write_text(text)
    return {"BINDER_HOME": str(home)}


def test_without_file_or_variables_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(KitchenSettings, environ={"BINDER_HOME": str(tmp_path)})
    assert (settings.workers, settings.host, settings.api_key) == (2, "127.0.0.1", None)
    assert settings.state_dir == tmp_path / "build"
    assert settings.database == f"sqlite:///{tmp_path}/build/state.db"


def test_the_file_is_read_with_hyphens_or_underscores(tmp_path: Path) -> None:
    environ = write(tmp_path, 'log-level = "debug"\n[build]\nallowed_hosts = ["a", "b"]\nworkers = 5\n')
    settings = load_settings(KitchenSettings, environ=environ)
    assert (settings.log_level, settings.allowed_hosts, settings.workers) == ("debug", ("a", "b"), 5)


@pytest.mark.parametrize(
    ("file", "variables", "expected"),
    [
        ('log-level = "debug"', {}, "debug"),
        ('log-level = "debug"\n[build]\nlog-level = "error"', {}, "error"),
        ('log-level = "debug"', {"BINDER_LOG_LEVEL": "warning"}, "warning"),
        ('log-level = "debug"', {"BINDER_LOG_LEVEL": "warning", "BINDER_BUILD_LOG_LEVEL": "error"}, "error"),
        ('[build]\nlog-level = "debug"', {"BINDER_BUILD_LOG_LEVEL": "error"}, "error"),
        ('[registry]\nlog-level = "debug"', {"BINDER_REGISTRY_LOG_LEVEL": "error"}, "info"),
    ],
)
def test_a_variable_beats_the_file_and_the_own_value_the_common_one(
    tmp_path: Path, file: str, variables: dict[str, str], expected: str
) -> None:
    assert load_settings(KitchenSettings, environ=write(tmp_path, file) | variables).log_level == expected


def test_variables_hold_numbers_switches_and_lists(tmp_path: Path) -> None:
    own = {"BINDER_BUILD_WORKERS": "7", "BINDER_BUILD_QUICK": "true", "BINDER_BUILD_ALLOWED_HOSTS": "a, b"}
    settings = load_settings(KitchenSettings, environ={"BINDER_HOME": str(tmp_path)} | own)
    assert (settings.workers, settings.quick, settings.allowed_hosts) == (7, True, ("a", "b"))


def test_the_url_of_the_build_service_is_a_common_setting_although_it_starts_like_an_own_one(tmp_path: Path) -> None:
    environ = {"BINDER_HOME": str(tmp_path), "BINDER_BUILD_URL": "http://build.example:1/"}
    assert load_settings(KitchenSettings, environ=environ).build_url == "http://build.example:1"


@pytest.mark.parametrize(
    ("file", "variables", "words"),
    [
        ("[build]\nworkrs = 3", {}, "[build] workrs: there is no such setting; did you mean workers?"),
        ('log-levle = "info"', {}, "log-levle: there is no such setting; did you mean log-level?"),
        ("workers = 3", {}, "write it below [build], or set BINDER_BUILD_WORKERS"),
        ("[biuld]\nworkers = 3", {}, "biuld: there is no such setting"),
        (
            "",
            {"BINDER_BUILD_WORKRS": "3"},
            "BINDER_BUILD_WORKRS: there is no such setting; did you mean BINDER_BUILD_W",
        ),
        ("", {"BINDER_LOG_LEVLE": "3"}, "did you mean BINDER_LOG_LEVEL?"),
        ("[build]\nworkers = 0", {}, "[build] workers: Input should be greater than or equal to 1"),
        ("", {"BINDER_BUILD_WORKERS": "many"}, "BINDER_BUILD_WORKERS: Input should be a valid integer"),
        ("", {"BINDER_BUILD_PORT": "tcp://10.0.0.1:80"}, "BINDER_BUILD_PORT: Input should be a valid integer"),
        ("[build", {}, "binder.toml: "),
        ('public-url = "binder.example"', {}, "public_url must begin with http://"),
        ("", {"BINDER_API_KEY": "two words"}, "visible ASCII characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, file: str, variables: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(KitchenSettings, environ=write(tmp_path, file) | variables)
    assert words in str(caught.value)


def test_all_unknown_names_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(KitchenSettings, environ=write(tmp_path, "one = 1\ntwo = 2"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_faulty_key_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(KitchenSettings, environ={"BINDER_HOME": str(tmp_path), "BINDER_API_KEY": "my secret"})
    assert "my secret" not in str(caught.value)


def test_the_key_is_that_of_the_settings_else_of_the_key_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    environ = {"BINDER_HOME": str(tmp_path)}
    from_file = load_settings(KitchenSettings, environ=environ).api_key
    from_variable = load_settings(KitchenSettings, environ=environ | {"BINDER_API_KEY": "from-variable"}).api_key
    assert from_file is not None
    assert from_variable is not None
    assert (from_file.get_secret_value(), from_variable.get_secret_value()) == ("from-file", "from-variable")


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    settings = load_settings(KitchenSettings, environ={"BINDER_HOME": str(tmp_path), "BINDER_API_KEY": "sesame"})
    assert "sesame" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_the_password_of_the_database_is_not_shown(tmp_path: Path) -> None:
    environ = {"BINDER_HOME": str(tmp_path), "BINDER_DATABASE_URL": "postgresql+psycopg://binder:hunter2@db/binder"}
    settings = load_settings(KitchenSettings, environ=environ)
    assert "hunter2" in settings.database
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("url", ["mysql://db/binder", "binder.db", ""])
def test_only_a_database_that_can_be_used_is_one(tmp_path: Path, url: str) -> None:
    environ = {"BINDER_HOME": str(tmp_path), "BINDER_DATABASE_URL": url}
    with pytest.raises(ConfigError, match=r"BINDER_DATABASE_URL: .*postgresql://USER:PASSWORD@HOST/NAME"):
        load_settings(KitchenSettings, environ=environ)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_settings(KitchenSettings, environ={"BINDER_CONFIG": str(tmp_path / "none.toml")})


class Oven(BaseModel):
    model_config = ConfigDict(extra="forbid")

    degrees: int = 180
    shelf_names: list[str] = []


class OvenSettings(KitchenSettings):
    oven: Oven = Oven()


def test_a_setting_may_be_a_table_of_settings(tmp_path: Path) -> None:
    environ = write(tmp_path, "[build]\nworkers = 3\n[build.oven]\ndegrees = 200\nshelf-names = ['a']\n")
    settings = load_settings(OvenSettings, environ=environ | {"BINDER_BUILD_OVEN_SHELF_NAMES": "top, low"})
    assert (settings.workers, settings.oven) == (3, Oven(degrees=200, shelf_names=["top", "low"]))
    assert load_settings(OvenSettings, environ=write(tmp_path, "")).oven == Oven()


@pytest.mark.parametrize(
    ("file", "variables", "words"),
    [
        ("[build.oven]\ndegree = 1", {}, "[build.oven] degree: there is no such setting; did you mean degrees?"),
        ("[build]\ndegrees = 1", {}, "[build] degrees: there is no such setting; did you mean oven.degrees?"),
        ("[build.oven]\ndegrees = 'hot'", {}, "[build.oven] degrees: Input should be a valid integer"),
        ("[build]\noven = 5", {}, "[build] oven: this is a table of settings: write them below [build.oven]"),
        ("", {"BINDER_BUILD_OVEN_DEGREE": "1"}, "BINDER_BUILD_OVEN_DEGREE: there is no such setting; did you mean "),
        ("", {"BINDER_BUILD_OVEN_DEGREES": "hot"}, "BINDER_BUILD_OVEN_DEGREES: Input should be a valid integer"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, file: str, variables: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_settings(OvenSettings, environ=write(tmp_path, file) | variables)
