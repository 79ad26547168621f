"""The client's configuration: whose word counts, where keys go, and a file that only its owner can read."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest

from binder_client.config import LOCAL_URL, ConfigError, Server, load, save, server

KEY = "key-0123456789abcdef"
URL = "https://binder.example.org"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "client.toml"


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """An environment without any suite on this host."""
    return {"BINDER_HOME": str(tmp_path / "no-suite")}


def test_what_is_saved_is_read_again_beside_the_other_profiles(file: Path) -> None:
    odd = Server("http://[::1]:8080", 'quote" back\\slash')
    save(file, "default", Server(URL, KEY))
    save(file, "lab-2", odd)
    assert load(file) == {"default": Server(URL, KEY), "lab-2": odd}
    assert set(tomllib.loads(file.read_text())) == {"default", "lab-2"}


@pytest.mark.skipif(os.name != "posix", reason="posix: other systems keep a user's directory private by themselves")
def test_the_file_is_its_owners_alone_whatever_the_umask(file: Path) -> None:
    before = os.umask(0)
    try:
        save(file, "default", Server(URL, KEY))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.skipif(os.name != "posix", reason="posix: modes mean something else elsewhere")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(file: Path, mode: int, nobody: dict[str, str]) -> None:
    save(file, "default", Server(URL, KEY))
    file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        server(nobody, path=file)
    assert "chmod 600" in caught.value.suggestion
    with pytest.raises(ConfigError):
        save(file, "other", Server(URL, KEY))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root: only it gives files away")
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    save(file, "default", Server(URL, KEY))
    os.chown(file, 12_345, -1)
    with pytest.raises(ConfigError, match="another user"):
        load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[default", "no TOML"),
        ("[default]\nurl = 'u'\nkee = 'k'\n", "did you mean key"),
        ("[default]\nkey = 'k'\n", "needs a url"),
        ("[default]\nurl = 1\n", "needs a url"),
        ("url = 'http://h'\n", "outside"),
        ("[default]\nurl = 'http://u:p@h'\n", "holds no user"),
        ("#" * (2**20 + 1), "larger"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_reason(file: Path, text: str, words: str) -> None:
    file.parent.mkdir()
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert words in f"{caught.value.message} {caught.value.suggestion}"
    assert str(file) in caught.value.message


def test_the_environment_wins_over_the_file(file: Path, nobody: dict[str, str]) -> None:
    save(file, "default", Server(URL, "stored"))
    assert server(nobody, path=file) == Server(URL, "stored")
    assert server({**nobody, "BINDER_API_KEY": KEY}, path=file) == Server(URL, KEY)
    assert server({**nobody, "BINDER_URL": "http://h", "BINDER_API_KEY": KEY}, path=file) == Server("http://h", KEY)
    assert server({**nobody, "BINDER_URL": "http://h"}, url="http://i", path=file) == Server("http://i")


def test_a_stored_key_goes_only_to_its_own_server(file: Path, nobody: dict[str, str]) -> None:
    save(file, "default", Server(URL, KEY))
    save(file, "lab", Server("https://lab.example.org", "lab-key"))
    assert server(nobody, url="https://evil.example.org", path=file).key is None
    assert server(nobody, url="https://evil.example.org", profile="lab", path=file).key is None
    assert server(nobody, url="https://lab.example.org/", path=file).key == "lab-key"
    assert server({**nobody, "BINDER_PROFILE": "lab"}, path=file).key == "lab-key"


def test_an_unknown_profile_names_the_nearest(file: Path, nobody: dict[str, str]) -> None:
    save(file, "lab", Server(URL, KEY))
    with pytest.raises(ConfigError) as caught:
        server(nobody, profile="lap", path=file)
    assert "lab" in caught.value.suggestion


def test_on_a_suites_host_nothing_need_be_configured(tmp_path: Path, file: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    environ = {"BINDER_HOME": str(tmp_path)}
    assert server(environ, path=file) == Server(LOCAL_URL, KEY)
    assert server(environ, url="http://localhost:9000", path=file).key == KEY
    assert server(environ, url=URL, path=file).key is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("[control]\nport = 9090\n", "http://127.0.0.1:9090"),
        ("[control]\nport = 'many'\n", LOCAL_URL),
        ("control = 1\n", LOCAL_URL),
        ("[contr", LOCAL_URL),
    ],
)
def test_on_a_suites_host_its_configured_port_is_asked(tmp_path: Path, file: Path, text: str, url: str) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "binder.toml").write_text(text)
    assert server({"BINDER_HOME": str(tmp_path)}, path=file) == Server(url, KEY)


def test_without_anything_the_local_front_door_is_asked(file: Path, nobody: dict[str, str]) -> None:
    assert server(nobody, path=file) == Server(LOCAL_URL)


def test_a_servers_key_is_not_shown() -> None:
    assert KEY not in repr(Server(URL, KEY))
