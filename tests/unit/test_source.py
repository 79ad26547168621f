"""Resolving and fetching from a real git server, on good days and on bad ones."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from binder_build.process import Cancelled
from binder_build.sources import source as source_module
from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.repository import parse_repository
from binder_build.sources.source import FetchLimits, Revision, Source
from binder_protocol.errors import (
    BadRepoSource,
    BuildTimeout,
    InvalidRepository,
    NoSpace,
    RefNotFound,
    SourceNotFound,
    SourceTooLarge,
    SourceUnreachable,
)
from tests.support.git_server import GitServer, ServedRepository, git_server

NOTEBOOK = {"index.ipynb": "{}", "data/a.txt": "a", "run": "#!/bin/sh\n"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "work", AddressPolicy(["127.0.0.1"]))


@pytest.fixture
def repository(server: GitServer) -> ServedRepository:
    return server.create("owner/repo", NOTEBOOK)


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(each.name for each in (tmp_path / "work").iterdir()) if (tmp_path / "work").exists() else []


# --- refs -----------------------------------------------------------------------------------------------------------


def test_no_ref_means_the_default_branch(source: Source, repository: ServedRepository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    assert source.resolve(parse_repository(repository.url)) == Revision(commit, None, None)


def test_branches_tags_and_commits_are_resolved(source: Source, repository: ServedRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "--annotate", "v1", "--message", "one")
    repository.git("tag", "light")
    repository.git("branch", "feature/x")
    second = repository.commit({"new": "1"})
    for ref, commit in (("main", second), ("v1", first), ("light", first), ("feature/x", first), (first, first)):
        assert source.resolve(parse_repository(repository.url, ref)).commit == commit


def test_a_branch_wins_over_a_tag_of_the_same_name(source: Source, repository: ServedRepository) -> None:
    repository.git("tag", "both")
    repository.git("checkout", "--quiet", "-b", "both")
    commit = repository.commit({"new": "1"})
    assert source.resolve(parse_repository(repository.url, "both")).commit == commit


def test_a_pasted_address_is_split_into_ref_and_subdirectory(
    server: GitServer, source: Source, repository: ServedRepository
) -> None:
    repository.git("branch", "feature/x")
    commit = repository.publish()
    found = source.resolve(parse_repository(f"{server.url}/owner/repo.git/-/tree/feature/x/data"))
    assert found == Revision(commit, "feature/x", "data")


def test_an_unknown_ref_is_not_found_and_a_short_commit_is_explained(
    source: Source, repository: ServedRepository
) -> None:
    with pytest.raises(RefNotFound, match="no branch or tag nowhere"):
        source.resolve(parse_repository(repository.url, "nowhere"))
    with pytest.raises(RefNotFound) as caught:
        source.resolve(parse_repository(repository.url, repository.git("rev-parse", "--short=8", "HEAD")))
    assert "40 digits" in caught.value.suggestions[0]


def test_an_empty_repository_is_named_as_such(server: GitServer, source: Source) -> None:
    with pytest.raises(RefNotFound, match="empty"):
        source.resolve(parse_repository(server.create("owner/empty").url))


def test_a_repository_that_is_not_there_is_not_found(server: GitServer, source: Source) -> None:
    with pytest.raises(SourceNotFound):
        source.resolve(parse_repository(f"{server.url}/owner/none.git"))


# --- contents -------------------------------------------------------------------------------------------------------


def test_a_commit_is_fetched_without_git_and_with_its_modes(
    tmp_path: Path, source: Source, repository: ServedRepository
) -> None:
    wanted = parse_repository(repository.url)
    checkout = source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    files = {str(each.relative_to(checkout.path)) for each in checkout.path.rglob("*") if each.is_file()}
    assert files == set(NOTEBOOK)
    assert checkout.files == 3
    assert os.access(checkout.path / "run", os.X_OK)
    assert (checkout.path / "data").stat().st_mode & 0o777 == 0o755
    assert abs(checkout.committed_at - time.time()) < 600
    assert leftovers(tmp_path) == []


def test_an_old_commit_is_fetched_by_its_id(tmp_path: Path, source: Source, repository: ServedRepository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"index.ipynb": "changed"})
    wanted = parse_repository(repository.url, first)
    source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert (tmp_path / "tree/index.ipynb").read_text() == "{}"


def test_a_commit_that_is_not_there_is_not_found(tmp_path: Path, source: Source, repository: ServedRepository) -> None:
    wanted = parse_repository(repository.url, "0123456789" * 4)
    with pytest.raises(RefNotFound):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_links_stay_links_and_are_never_followed(tmp_path: Path, source: Source, repository: ServedRepository) -> None:
    repository.index("120000", "requirements.txt", "/etc/passwd")
    repository.git("commit", "--quiet", "--message", "link")
    repository.publish()
    wanted = parse_repository(repository.url)
    source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert (tmp_path / "tree/requirements.txt").is_symlink()


@pytest.mark.parametrize("path", [".git/config", "a/.GIT/hooks/x", "git~1/x", "../x"])
def test_paths_that_could_harm_are_refused(
    tmp_path: Path, source: Source, repository: ServedRepository, path: str
) -> None:
    # No git writes such a tree: it is put together by hand.
    blob = repository.git("hash-object", "-w", "--stdin", text="x")
    tree = blob
    kind = "100644 blob"
    for part in reversed(path.split("/")):
        tree = repository.git("mktree", text=f"{kind} {tree}\t{part}\n")
        kind = "040000 tree"
    commit = repository.git("commit-tree", tree, "-m", "hostile")
    repository.git("update-ref", "refs/heads/hostile", commit)
    repository.publish()
    with pytest.raises(InvalidRepository):
        source.fetch(parse_repository(repository.url), Revision(commit, None, None), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_attributes_and_hooks_of_a_repository_run_nothing(tmp_path: Path, source: Source, server: GitServer) -> None:
    repository = server.create(
        "o/attributes", {".gitattributes": "* filter=lfs diff=x\n", "a": "version https://git-lfs\n"}
    )
    wanted = parse_repository(repository.url)
    source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert (tmp_path / "tree/a").read_text().startswith("version")


# --- submodules -----------------------------------------------------------------------------------------------------


def with_submodule(server: GitServer, url: str) -> ServedRepository:
    inner = server.create("owner/inner", {"inner.txt": "in"})
    outer = server.create("owner/outer", {"a": "a", ".gitmodules": f'[submodule "x"]\n\tpath = sub\n\turl = {url}\n'})
    outer.index("160000", "sub", inner.git("rev-parse", "HEAD"))
    outer.git("commit", "--quiet", "--message", "submodule")
    outer.publish()
    return outer


def test_submodules_are_fetched_only_when_asked(tmp_path: Path, source: Source, server: GitServer) -> None:
    wanted = parse_repository(with_submodule(server, "../inner.git").url)
    revision, notes = source.resolve(wanted), []
    source.fetch(wanted, revision, tmp_path / "without", on_note=notes.append)
    assert list((tmp_path / "without/sub").iterdir()) == []
    assert "left empty" in notes[0]
    source.fetch(wanted, revision, tmp_path / "with", submodules=True)
    assert (tmp_path / "with/sub/inner.txt").read_text() == "in"


@pytest.mark.parametrize("url", ["file:///etc", "--upload-pack=x", "ext::id", "http://10.0.0.1/x.git", "/etc"])
def test_a_submodule_is_held_to_the_same_rules(tmp_path: Path, source: Source, server: GitServer, url: str) -> None:
    wanted = parse_repository(with_submodule(server, url).url)
    with pytest.raises((BadRepoSource, InvalidRepository), match=r"submodule sub|git refuses"):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree", submodules=True)
    assert not (tmp_path / "tree").exists()


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_repository_above_the_size_limit_is_refused(tmp_path: Path, source: Source, server: GitServer) -> None:
    repository = server.create("owner/large", {"data.bin": os.urandom(3_000_000)})
    wanted = parse_repository(repository.url)
    with pytest.raises(SourceTooLarge):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree", limits=FetchLimits(bytes=1_000_000))
    assert not (tmp_path / "tree").exists()
    assert leftovers(tmp_path) == []


def test_a_file_that_is_small_only_in_transit_is_refused_before_it_is_written(
    tmp_path: Path, source: Source, server: GitServer
) -> None:
    repository = server.create("owner/bomb", {"zeros": b"\0" * 20_000_000})
    wanted = parse_repository(repository.url)
    with pytest.raises(SourceTooLarge):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree", limits=FetchLimits(bytes=10_000_000))


def test_too_many_files_are_refused(tmp_path: Path, source: Source, server: GitServer) -> None:
    repository = server.create("owner/many", {f"f{number}": "" for number in range(30)})
    wanted = parse_repository(repository.url)
    with pytest.raises(SourceTooLarge):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree", limits=FetchLimits(files=29))


def test_a_tree_that_unfolds_without_end_is_cut_short(
    tmp_path: Path, source: Source, repository: ServedRepository
) -> None:
    tree = repository.git("mktree", text=f"100644 blob {repository.git('hash-object', '-w', '--stdin', text='x')}\tf\n")
    for _ in range(12):  # ten to the twelfth files in a dozen objects
        tree = repository.git("mktree", text="".join(f"040000 tree {tree}\td{number}\n" for number in range(10)))
    commit = repository.git("commit-tree", tree, "-m", "bomb")
    repository.git("update-ref", "refs/heads/bomb", commit)
    repository.publish()
    with pytest.raises(SourceTooLarge):
        source.fetch(parse_repository(repository.url), Revision(commit, None, None), tmp_path / "tree")


def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, source: Source, repository: ServedRepository
) -> None:
    wanted = parse_repository(repository.url)
    with pytest.raises(NoSpace, match="are free"):
        source.fetch(wanted, source.resolve(wanted), tmp_path / "tree", limits=FetchLimits(free_bytes=2**60))


# --- bad servers ----------------------------------------------------------------------------------------------------


def test_a_server_that_never_answers_is_given_up(server: GitServer, source: Source, tmp_path: Path) -> None:
    server.hanging.add("/slow/")
    began = time.monotonic()
    with pytest.raises(SourceUnreachable):
        source.resolve(parse_repository(f"{server.url}/slow/repo.git"), seconds=0.5)
    assert time.monotonic() - began < 3
    assert leftovers(tmp_path) == []


def test_a_server_that_trickles_is_given_up(
    server: GitServer, source: Source, repository: ServedRepository, tmp_path: Path
) -> None:
    wanted = parse_repository(repository.url)
    revision = source.resolve(wanted)
    server.trickling.add("/owner/")
    with pytest.raises((BuildTimeout, SourceUnreachable)):
        source.fetch(wanted, revision, tmp_path / "tree", limits=FetchLimits(seconds=1.5))
    assert not (tmp_path / "tree").exists()


def test_cancel_ends_a_fetch_within_a_second(
    server: GitServer, source: Source, repository: ServedRepository, tmp_path: Path
) -> None:
    wanted = parse_repository(repository.url)
    revision = source.resolve(wanted)
    server.hanging.add("/owner/")
    cancel = threading.Event()
    timer = threading.Timer(0.3, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        source.fetch(wanted, revision, tmp_path / "tree", cancel=cancel)
    assert time.monotonic() - began < 1.3
    timer.join()
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "tree").exists()


def test_private_addresses_are_refused_unless_allowed(tmp_path: Path, repository: ServedRepository) -> None:
    with pytest.raises(BadRepoSource, match="private"):
        Source(tmp_path / "work", AddressPolicy()).resolve(parse_repository(repository.url))


# --- redirects ------------------------------------------------------------------------------------------------------


def test_a_repository_that_moved_is_followed(
    server: GitServer, source: Source, repository: ServedRepository, tmp_path: Path
) -> None:
    server.redirects["/old/"] = "/older/{rest}"
    server.redirects["/older/"] = f"{server.url}/owner/{{rest}}"
    wanted = parse_repository(f"{server.url}/old/repo.git")
    source.fetch(wanted, source.resolve(wanted), tmp_path / "tree")
    assert (tmp_path / "tree/index.ipynb").exists()


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/{rest}",
        "http://127.0.0.2:1/{rest}",
        "ssh://git@127.0.0.1/x",
        "http://user:pass@127.0.0.1/{rest}",
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_refused(server: GitServer, source: Source, target: str) -> None:
    server.redirects["/moved/"] = target
    with pytest.raises((BadRepoSource, SourceNotFound)):
        source.resolve(parse_repository(f"{server.url}/moved/repo.git"))


def test_redirects_without_end_are_given_up(server: GitServer, source: Source) -> None:
    server.redirects["/loop/"] = "/loop/{rest}"
    with pytest.raises(SourceUnreachable, match="redirects"):
        source.resolve(parse_repository(f"{server.url}/loop/repo.git"))
    assert len(server.requests) <= 8


def test_a_redirect_to_a_login_page_is_no_repository(server: GitServer, source: Source) -> None:
    server.redirects["/private/"] = "/login"
    with pytest.raises(SourceNotFound):
        source.resolve(parse_repository(f"{server.url}/private/repo.git"))


def test_what_the_name_leads_to_later_is_never_asked_again(tmp_path: Path, repository: ServedRepository) -> None:
    # A name that no resolver knows: git gets there only if it is told the address that was judged.
    answers = iter([["127.0.0.1"], ["10.9.9.9"]])
    policy = AddressPolicy(["127.0.0.1"], resolver=lambda host, port: next(answers))
    url = repository.url.replace("127.0.0.1", "rebinding.example")
    source = Source(tmp_path / "work", policy)
    assert source.resolve(parse_repository(url)).commit == repository.git("rev-parse", "HEAD")
    with pytest.raises(BadRepoSource):
        source.resolve(parse_repository(url))


# --- credentials ----------------------------------------------------------------------------------------------------


def test_a_credential_opens_a_private_repository_and_stays_out_of_sight(
    server: GitServer, source: Source, repository: ServedRepository, tmp_path: Path
) -> None:
    server.passwords["/owner/"] = ("me", "s3cr3t/+:@word")
    wanted = parse_repository(repository.url)
    with pytest.raises(SourceNotFound, match="credential"):
        source.resolve(wanted)
    with pytest.raises(SourceNotFound) as caught:
        source.resolve(wanted, credential="me:wr0ng")
    assert "wr0ng" not in str(caught.value.body())
    revision = source.resolve(wanted, credential="me:s3cr3t/+:@word")
    source.fetch(wanted, revision, tmp_path / "tree", credential="me:s3cr3t/+:@word")
    assert "s3cr3t" not in "".join(server.requests)
    assert leftovers(tmp_path) == []


def test_a_credential_is_not_given_to_another_server(
    server: GitServer, source: Source, repository: ServedRepository, tmp_path: Path
) -> None:
    with git_server(tmp_path / "thief") as thief:
        thief.passwords["/"] = ("me", "s3cr3t")
        thief.create("owner/repo", {"a": "a"})
        server.redirects["/owner/"] = f"{thief.url}/owner/{{rest}}"
        with pytest.raises(SourceNotFound):
            source.resolve(parse_repository(repository.url), credential="me:s3cr3t")


def test_git_gets_no_secret_of_this_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: GitServer, source: Source, repository: ServedRepository
) -> None:
    seen = tmp_path / "seen"
    spy = tmp_path / "bin/git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nenv >> {seen}\necho "$@" >> {seen}\nexec /usr/bin/git "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("BINDER_API_KEY", "the-k3y-of-the-service")
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch /tmp/x")
    source.resolve(parse_repository(repository.url), credential="me:s3cr3t")
    text = seen.read_text()
    assert "the-k3y" not in text
    assert "s3cr3t" not in text
    assert "touch" not in text
    assert "GIT_CONFIG_NOSYSTEM=1" in text


def test_a_file_that_goes_while_it_is_counted_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(b"12345")
    (tmp_path / "tmp_idx").write_bytes(b"123")
    scandir = os.scandir

    @contextmanager
    def scanned(directory: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(directory) as entries:
            found = list(entries)
        (directory / "tmp_idx").unlink()
        yield found

    monkeypatch.setattr(os, "scandir", scanned)
    assert source_module._bytes_in(tmp_path) == 5
    assert source_module._bytes_in(tmp_path / "none") == 0
