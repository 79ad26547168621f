"""Resolving and fetching over ssh, from a real sshd."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.repository import parse_repository
from binder_build.sources.source import Source
from binder_build.sources.ssh import Ssh
from binder_protocol.errors import BadRepoSource, BinderError, RefNotFound, SourceNotFound, SourceUnreachable
from tests.support.building import silent_server
from tests.support.git_server import ServedRepository
from tests.support.ssh_server import SshServer, make_key, ssh_server

pytestmark = pytest.mark.sshd

POLICY = AddressPolicy(["127.0.0.1"])
FILES: dict[str, str | bytes | None] = {"index.ipynb": "{}", "run": "#!/bin/sh\n"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("ssh") / "served") as running:
        yield running


@pytest.fixture(scope="module")
def repository(server: SshServer) -> ServedRepository:
    return server.create("owner/repo", FILES)


@pytest.fixture
def source(tmp_path: Path, server: SshServer) -> Source:
    return Source(tmp_path / "work", POLICY, Ssh(key=server.key, known_hosts=server.known_hosts))


def resolve(tmp_path: Path, url: str, ssh: Ssh, seconds: float = 20) -> str:
    try:
        return Source(tmp_path / "work", POLICY, ssh).resolve(parse_repository(url), seconds=seconds).commit
    finally:
        assert list((tmp_path / "work").iterdir()) == []


def test_a_repository_is_resolved_and_fetched(
    tmp_path: Path, server: SshServer, source: Source, repository: ServedRepository
) -> None:
    earlier = server.commands.read_text() if server.commands.exists() else ""
    wanted = parse_repository(repository.url)
    revision = source.resolve(wanted)
    assert revision.commit == repository.git("rev-parse", "HEAD")
    checkout = source.fetch(wanted, revision, tmp_path / "tree")
    assert {each.name for each in checkout.path.iterdir()} == set(FILES)
    asked = server.commands.read_text().removeprefix(earlier)
    assert set(asked.splitlines()) == {"git-upload-pack '/owner/repo.git'"}


def test_an_old_commit_is_fetched_from_a_server_that_hands_out_no_single_ones(
    tmp_path: Path, server: SshServer, source: Source
) -> None:
    repository = server.create("owner/old", FILES)
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"index.ipynb": "changed"})
    wanted = parse_repository(repository.url, first)
    source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert (tmp_path / "tree/index.ipynb").read_text() == "{}"


def test_what_is_not_there_is_not_found(server: SshServer, source: Source, repository: ServedRepository) -> None:
    with pytest.raises(SourceNotFound):
        source.resolve(parse_repository(f"{server.url}/owner/none.git"))
    with pytest.raises(RefNotFound):
        source.resolve(parse_repository(repository.url, "nowhere"))


def test_files_of_any_name_are_used(tmp_path: Path, server: SshServer, repository: ServedRepository) -> None:
    place = tmp_path / "it's 100%h ~here"
    place.mkdir()
    key, known_hosts = (Path(shutil.copy(each, place)) for each in (server.key, server.known_hosts))
    assert resolve(tmp_path, repository.url, Ssh(key=key, known_hosts=known_hosts))


def test_a_server_with_another_key_than_the_known_one_is_refused(
    tmp_path: Path, server: SshServer, repository: ServedRepository
) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    wrong = tmp_path / "known_hosts"
    for known in (f"[127.0.0.1]:{server.port} {other}", f"[127.0.0.2]:{server.port} {other}", ""):
        wrong.write_text(known)
        with pytest.raises(SourceUnreachable, match="doesn't know it") as caught:
            resolve(tmp_path, repository.url, Ssh(key=server.key, known_hosts=wrong))
        assert "known_hosts" in caught.value.suggestions[-1]
        assert wrong.read_text() == known
    with pytest.raises(SourceUnreachable):
        resolve(tmp_path, repository.url, Ssh(key=server.key))


def test_without_known_hosts_the_first_key_is_remembered_and_no_other_is_taken(
    tmp_path: Path, server: SshServer, repository: ServedRepository
) -> None:
    ssh = Ssh(key=server.key, learned=tmp_path / "learned")
    assert resolve(tmp_path, repository.url, ssh) == resolve(tmp_path, repository.url, ssh)
    assert (tmp_path / "learned").read_text().split()[:2] == server.known_hosts.read_text().split()[:2]
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    (tmp_path / "learned").write_text(f"[127.0.0.1]:{server.port} {other}")
    with pytest.raises(SourceUnreachable):
        resolve(tmp_path, repository.url, ssh)


def test_without_a_key_that_the_server_takes_the_repository_is_closed(
    tmp_path: Path, server: SshServer, repository: ServedRepository
) -> None:
    for key in (None, make_key(tmp_path / "other")):
        with pytest.raises(SourceNotFound) as caught:
            resolve(tmp_path, repository.url, Ssh(key=key, known_hosts=server.known_hosts))
        assert "ssh_key" in caught.value.suggestions[-1]


def test_a_key_that_can_not_be_used_is_the_operators_to_correct(
    tmp_path: Path, server: SshServer, repository: ServedRepository
) -> None:
    exposed = Path(shutil.copy(server.key, tmp_path / "exposed"))
    exposed.chmod(0o644)
    for key in (exposed, tmp_path / "missing"):
        with pytest.raises(SourceUnreachable, match="can't be used") as caught:
            resolve(tmp_path, repository.url, Ssh(key=key, known_hosts=server.known_hosts))
        assert "ssh_key" in caught.value.suggestions[0]
        assert str(tmp_path) not in str(caught.value.body())


def test_the_keys_and_settings_of_the_services_user_are_for_nobody_else(
    tmp_path: Path, server: SshServer, repository: ServedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = subprocess.run(
        ["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    pid = agent.partition("SSH_AGENT_PID=")[2].partition(";")[0]
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", str(server.key)], check=True, timeout=10)
        with pytest.raises(SourceNotFound):
            resolve(tmp_path, repository.url, Ssh(known_hosts=server.known_hosts))
    finally:
        os.kill(int(pid), 15)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-oProxyCommand=touch%20x/owner/repo",
        "ssh://-oProxyCommand=touch@127.0.0.1/owner/repo",
        "ssh://git@-oProxyCommand=touch/owner/repo",
        "-oProxyCommand=touch@127.0.0.1:owner/repo",
        "git@-oProxyCommand=touch:owner/repo",
        "ssh://git:pass@127.0.0.1/owner/repo",
        "ssh://git@127.0.0.1/-owner/repo",
        "ssh://git@127.0.0.1/owner/repo';touch x;'",
        "ssh://%2doProxyCommand@127.0.0.1/owner/repo",
    ],
)
def test_what_looks_like_an_option_or_a_command_is_refused(url: str) -> None:
    with pytest.raises(BadRepoSource):
        parse_repository(url)


ASKING = """
import sys
from pathlib import Path
from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.repository import parse_repository
from binder_build.sources.source import Source
from binder_build.sources.ssh import Ssh
from binder_protocol.errors import BinderError
url, work, key, known_hosts = sys.argv[1:]
try:
    Source(Path(work), AddressPolicy(["127.0.0.1"]), Ssh(Path(key), Path(known_hosts))).resolve(parse_repository(url))
except BinderError as error:
    print(error.type, end="")
"""


@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_asked_on_the_terminal(
    tmp_path: Path, server: SshServer, repository: ServedRepository, *, known: bool
) -> None:
    # A key with a passphrase, and a server that nobody knows: what ssh asks people about.
    key = make_key(tmp_path / "key", "a passphrase")
    known_hosts = server.known_hosts if known else tmp_path / "none"
    arguments = [repository.url, str(tmp_path / "work"), str(key), str(known_hosts)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASKING, *arguments])
    said = b""
    try:
        while chunk := os.read(terminal, 1000):
            said += chunk
    except OSError:  # how a terminal says that nobody uses it any more
        pass
    finally:
        os.close(terminal)
        assert os.waitpid(pid, 0)[1] == 0
    assert said.decode() in ("source-not-found", "source-unreachable")


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, server: SshServer) -> None:
    ssh = Ssh(key=server.key, known_hosts=server.known_hosts)
    began = time.monotonic()
    with silent_server() as address, pytest.raises(BinderError) as caught:
        resolve(tmp_path, f"ssh://git@{address}/owner/repo", ssh, seconds=1)
    assert caught.type is SourceUnreachable
    assert time.monotonic() - began < 3
