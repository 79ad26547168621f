"""Credentials that requests name: told to the host they are for, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from binder_build.credential_store import CredentialStore
from binder_build.repository import parse_repository
from binder_protocol.errors import RequestError, Unavailable
from binder_protocol.service.settings import ConfigError

FILE = '[lab]\nhost = "git.example.org"\nsecret = "user:word"\n'


def written(place: Path, text: str = FILE, mode: int = 0o600) -> Path:
    file = place / "credentials.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_secret_is_for_its_host_alone(tmp_path: Path) -> None:
    credentials = CredentialStore(written(tmp_path))
    assert credentials.secret("lab", parse_repository("https://git.example.org/a/b")) == "user:word"
    assert credentials.secret(None, parse_repository("https://git.example.org/a/b")) is None
    for name, url in (("lab", "https://evil.example.org/a/b"), ("other", "https://git.example.org/a/b")):
        with pytest.raises(RequestError) as refused:
            credentials.secret(name, parse_repository(url))
        assert "word" not in str(refused.value.body())


@pytest.mark.parametrize(("text", "mode"), [(FILE, 0o644), ("lab = 1\n", 0o600), ("[lab\nsecret = word", 0o600)])
def test_a_file_that_is_open_to_others_or_wrong_is_refused_at_start(tmp_path: Path, text: str, mode: int) -> None:
    with pytest.raises(ConfigError) as refused:
        CredentialStore(written(tmp_path, text, mode))
    assert "word" not in str(refused.value)


def test_a_file_that_goes_wrong_later_is_the_operators_trouble(tmp_path: Path) -> None:
    credentials = CredentialStore(written(tmp_path))
    written(tmp_path, mode=0o644)
    with pytest.raises(Unavailable):
        credentials.secret("lab", parse_repository("https://git.example.org/a/b"))
