"""Credentials that requests name: sealed where they are kept, told to whom they are for, and to nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError
from sqlalchemy import text

from binder_build.secrets.keyring import Keyring
from binder_build.secrets.operators import CredentialFile
from binder_build.secrets.store import CredentialStore
from binder_build.sources.repository import parse_repository
from binder_protocol.errors import Conflict, DoesNotExist, RequestError, Unavailable
from binder_protocol.models import CredentialRequest
from binder_protocol.service.settings import ConfigError
from binder_protocol.service.storage import Database

FILE = '[lab]\nhost = "git.example.org"\nsecret = "user:word"\n'
HOME = "https://git.example.org/a/b"
OWN = parse_repository(HOME)
SECRET = "a-word-nobody-knows"
GIT = CredentialRequest.model_validate({"kind": "git", "host": "git.example.org", "secret": SECRET})
VALUE = CredentialRequest.model_validate({"kind": "value", "secret": SECRET})
INDEX = CredentialRequest.model_validate({"kind": "index", "url": "https://x.example.org/simple", "secret": SECRET})


def written(place: Path, content: str = FILE, mode: int = 0o600) -> Path:
    file = place / "credentials.toml"
    file.write_text(content)
    file.chmod(mode)
    return file


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/state/state.db", "binder_build.migrations")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "state" / "credentials.key"


@pytest.fixture
def store(database: Database, key: Path, tmp_path: Path) -> CredentialStore:
    return CredentialStore(database, Keyring(key), CredentialFile(written(tmp_path)))


def sealed(database: Database, name: str) -> str:
    with database.reading() as connection:
        query = text("SELECT sealed FROM build_credentials WHERE name = :name")
        return str(connection.execute(query, {"name": name}).scalar_one())


def test_a_secret_is_for_its_host_alone(store: CredentialStore) -> None:
    store.put("forge", GIT)
    assert store.secret("lab", parse_repository(HOME)) == "user:word"
    assert store.secret("forge", parse_repository(HOME)) == SECRET
    assert store.secret(None, parse_repository(HOME)) is None
    for name, url in (("lab", "https://evil.example.org/a/b"), ("forge", "https://evil.example.org/a/b"), ("no", HOME)):
        with pytest.raises(RequestError) as refused:
            store.secret(name, parse_repository(url))
        assert not {"word", SECRET} & set(str(refused.value.body()).split("'"))


@pytest.mark.parametrize(("content", "mode"), [(FILE, 0o644), ("lab = 1\n", 0o600), ("[lab\nsecret = word", 0o600)])
def test_a_file_that_is_open_to_others_or_wrong_is_refused_at_start(tmp_path: Path, content: str, mode: int) -> None:
    with pytest.raises(ConfigError) as refused:
        CredentialFile(written(tmp_path, content, mode))
    assert "word" not in str(refused.value)


def test_a_file_that_goes_wrong_later_is_the_operators_trouble(store: CredentialStore, tmp_path: Path) -> None:
    written(tmp_path, mode=0o644)
    with pytest.raises(Unavailable):
        store.secret("lab", parse_repository(HOME))


def test_what_is_kept_is_listed_changed_and_removed_and_never_told(store: CredentialStore) -> None:
    first = store.put("pypi", INDEX)
    store.put("forge", GIT)
    changed = store.put("pypi", VALUE)
    assert (changed.kind, changed.url, changed.created) == ("value", None, first.created)
    found, total = store.page(10, 0)
    assert (total, [each.name for each in found]) == (2, ["forge", "pypi"])
    assert SECRET not in "".join([repr(found), *(each.model_dump_json() for each in found)])
    assert SECRET not in repr(VALUE)
    store.remove("pypi")
    with pytest.raises(DoesNotExist):
        store.remove("pypi")
    with pytest.raises(Conflict):
        store.put("lab", GIT)
    with pytest.raises(RequestError):
        store.put("../x", GIT)


def test_a_build_gets_values_and_indexes_but_no_login_of_git(store: CredentialStore) -> None:
    store.put("pypi", INDEX)
    store.put("licence", VALUE)
    store.put("forge", GIT)
    secrets = store.for_build(["pypi", "licence"], OWN)
    assert secrets.values == {"licence": SECRET}
    assert secrets.indexes["pypi"].login == f"https://__token__:{SECRET}@x.example.org/simple"
    assert SECRET not in repr(secrets)
    for name in ("forge", "nothing", "lab"):
        with pytest.raises(RequestError, match=name):
            store.for_build([name], OWN)


def test_nothing_is_kept_in_plain_text_and_the_key_is_its_owners(
    store: CredentialStore, database: Database, key: Path, tmp_path: Path
) -> None:
    assert not key.exists(), "nobody needed it yet"
    store.put("licence", VALUE)
    database.close()
    assert key.stat().st_mode & 0o777 == 0o600
    for file in (tmp_path / "state").iterdir():
        assert SECRET.encode() not in file.read_bytes()
        assert file == key or key.read_bytes().strip() not in file.read_bytes()


def test_a_new_key_seals_and_the_old_ones_still_open(database: Database, key: Path, tmp_path: Path) -> None:
    store = CredentialStore(database, Keyring(key), CredentialFile(None))
    store.put("licence", VALUE)
    before, old = sealed(database, "licence"), key.read_text()
    key.write_text(f"{Fernet.generate_key().decode()}\n{old}")
    store = CredentialStore(database, Keyring(key), CredentialFile(None))
    assert store.for_build(["licence"], OWN).values["licence"] == SECRET
    assert sealed(database, "licence") != before
    key.write_text(key.read_text().splitlines()[0])
    assert CredentialStore(database, Keyring(key), CredentialFile(None)).for_build(["licence"], OWN).values
    key.write_text(Fernet.generate_key().decode())
    with pytest.raises(Unavailable, match="key is not there"):
        CredentialStore(database, Keyring(key), CredentialFile(None)).for_build(["licence"], OWN)


@pytest.mark.parametrize(("content", "mode"), [(None, 0o644), ("", 0o600), ("no key", 0o600)])
def test_a_key_that_can_not_be_trusted_is_not_used_or_overwritten(
    store: CredentialStore, database: Database, key: Path, content: str | None, mode: int
) -> None:
    store.put("licence", VALUE)
    if content is not None:
        key.write_text(content)
    key.chmod(mode)
    kept = key.read_text()
    with pytest.raises(Unavailable, match="key of the credentials"):
        CredentialStore(database, Keyring(key), CredentialFile(None)).put("other", VALUE)
    assert key.read_text() == kept


@pytest.mark.parametrize(
    ("change", "name"),
    [("name = 'other'", "other"), ("host = 'evil.example.org'", "forge"), ("kind = 'value', host = NULL", "forge")],
)
def test_who_writes_to_the_database_can_not_lead_a_secret_elsewhere(
    store: CredentialStore, database: Database, change: str, name: str
) -> None:
    store.put("forge", GIT)
    with database.session() as connection:
        connection.execute(text(f"UPDATE build_credentials SET {change}"))
    with pytest.raises(Unavailable, match="changed in the database"):
        store.secret(name, parse_repository("https://evil.example.org/a/b"))
    with pytest.raises(Unavailable, match="changed in the database"):
        store.for_build([name], OWN)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "git"},
        {"kind": "git", "host": "a b"},
        {"kind": "index"},
        {"kind": "index", "url": "ftp://x/simple"},
        {"kind": "index", "url": "https://user:word-of-user@x/simple"},
        {"kind": "index", "url": "https://x/simple", "host": "x"},
        {"kind": "value", "user": "x"},
        {"kind": "value", "secret": "short"},
        {"kind": "git", "host": "x", "secret": "two\nlines"},
    ],
)
def test_a_credential_has_what_its_kind_needs(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CredentialRequest.model_validate({"secret": SECRET, **fields})


def test_a_service_without_credentials_does_not_load_what_seals_them(database: Database, tmp_path: Path) -> None:
    place = database.url
    script = f"""
import sys
from pathlib import Path
import binder_build.main
from binder_build.main import CredentialFile, CredentialStore, Database, Keyring
key = Path({str(tmp_path)!r}) / "key"
store = CredentialStore(Database({place!r}, "binder_build.migrations"), Keyring(key), CredentialFile(None))
store.page(1, 0), store.page(10, 0)
assert not key.exists() and "cryptography" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
