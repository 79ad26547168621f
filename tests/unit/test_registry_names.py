"""Images in registries: their names, and the logins that are kept for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from binder_build.registry.logins import Login, Logins
from binder_build.registry.names import parse_name

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "version"),
    [
        ("r.example.org/people/own:1", "r.example.org", "people/own", "1"),
        ("10.0.0.1:5000/own", "10.0.0.1:5000", "own", "latest"),
        (f"localhost/own@{DIGEST}", "localhost", "own", DIGEST),
        (f"r.example.org/own:1@{DIGEST}", "r.example.org", "own", DIGEST),
    ],
)
def test_a_name_in_a_registry_has_three_parts(text: str, host: str, repository: str, version: str) -> None:
    name = parse_name(text)
    assert name is not None
    assert (name.host, name.repository, name.version) == (host, repository, version)
    assert parse_name(str(name)) == name


@pytest.mark.parametrize("text", ["", "binder-base:latest", DIGEST, "library/python", "r.example.org/", "r.org/../x:1"])
def test_other_names_are_of_no_registry(text: str) -> None:
    assert parse_name(text) is None


def logins(folder: Path, config: object) -> Logins:
    (folder / "config.json").write_text(json.dumps(config))
    return Logins(folder)


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "entry", [{"auth": auth("me:a:word")}, {"username": "me", "password": "a:word"}, {"auth": auth("me:a:word\0")}]
)
def test_a_login_is_found_by_its_host(tmp_path: Path, entry: object) -> None:
    for host in ("r.example.org", "https://r.example.org"):
        found = logins(tmp_path, {"auths": {host: entry}}).of("r.example.org")
        assert found == Login("me", "a:word")
        assert "word" not in repr(found)
        assert found.basic == f"Basic {auth('me:a:word')}"


@pytest.mark.parametrize("config", [[], {}, {"auths": []}, {"auths": {"r": 1}}, {"auths": {"r": {"auth": "%"}}}])
def test_what_holds_no_login_gives_none(tmp_path: Path, config: Any) -> None:
    assert logins(tmp_path, config).of("r") is None
    (tmp_path / "config.json").unlink()
    assert Logins(tmp_path).of("r") is None


def test_a_helper_of_docker_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-cloud"
    helper.write_text(
        '#!/bin/sh\nread host; [ "$1 $host" = "get r.example.org" ] && echo \'{"Username": "me", "Secret": "word"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    known = logins(tmp_path, {"credHelpers": {"r.example.org": "cloud", "other.example.org": "../cloud"}})
    assert known.of("r.example.org") == Login("me", "word")
    assert known.of("other.example.org") is None
