"""From a repository to a checked-out tree: the ref resolved, the commit fetched, within limits of size and time."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from binder_build.process import DeadlinePassed
from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.command import GitCommand, GitFailed, OutputTooLarge
from binder_build.sources.credentials import Credential, askpass
from binder_build.sources.listing import Listing, Submodule
from binder_build.sources.repository import Repository, is_commit, parse_repository
from binder_build.sources.session import GitSession, WholeOnly
from binder_build.sources.ssh import Ssh
from binder_protocol.errors import (
    BinderError,
    BuildTimeout,
    InvalidRepository,
    NoSpace,
    RefNotFound,
    SourceTooLarge,
)

Note = Callable[[str], None]
Contents = Mapping[str, bytes]

_MAX_SUBMODULES, _MAX_SUBMODULE_DEPTH = 50, 3
_SHORT_COMMIT = re.compile(r"[0-9a-f]{4,39}")
_ZERO = "0000000000000000000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Revision:
    """What a ref means just now: the whole commit id, the ref (None: the default branch), the subdirectory."""

    commit: str
    ref: str | None
    subdir: str | None


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one repository, with its submodules, may take. `free_bytes` stay free on the disk."""

    bytes: int = 2 * 1024**3
    files: int = 200_000
    seconds: float = 600.0
    free_bytes: int = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit's files at `path`, without `.git`. `committed_at` is in Unix seconds.

    `contents` has for each file something that is another for other contents.
    """

    path: Path
    commit: str
    committed_at: int
    files: int
    bytes: int
    contents: Contents = field(default_factory=dict, repr=False)


class Source:
    """Fetches repositories into directories below `work`, from addresses that `policy` allows."""

    def __init__(
        self,
        work: Path,
        policy: AddressPolicy,
        ssh: Ssh | None = None,
    ) -> None:
        """Without `ssh` no server is trusted that is reached by it."""
        self._work = work
        self._policy = policy
        self._ssh = ssh or Ssh()

    def resolve(
        self,
        repository: Repository,
        *,
        credential: str | None = None,
        seconds: float = 30.0,
        cancel: threading.Event | None = None,
    ) -> Revision:
        """The commit that the repository's ref means now; a whole commit id is taken as it is.

        Raises `BadRepoSource` (address not allowed), `SourceNotFound`, `RefNotFound`, `SourceUnreachable`, `Cancelled`.
        """
        if repository.ref and is_commit(repository.ref):
            self._policy.addresses(repository.host, repository.port)
            return Revision(repository.ref, repository.ref, repository.subdir)
        with self._session(repository, credential, seconds, cancel) as session:
            patterns = [name for ref, _ in _candidates(repository) for name in _full_names(ref)]
            listed = session.remote(repository, ["ls-remote", "--quiet"], ["--", "{url}", *patterns])
        found = _refs(listed)
        for ref, subdir in _candidates(repository):
            for name in _full_names(ref):
                if name in found:
                    return Revision(found[name], ref, subdir or repository.subdir)
        raise _no_ref(repository)

    def fetch(
        self,
        repository: Repository,
        revision: Revision,
        into: Path,
        *,
        limits: FetchLimits | None = None,
        submodules: bool = False,
        credential: str | None = None,
        cancel: threading.Event | None = None,
        on_note: Note | None = None,
    ) -> Checkout:
        """The files of the revision's commit in the new directory `into`; on any failure nothing stays there.

        Raises as `resolve`, and `SourceTooLarge`, `BuildTimeout`, `NoSpace`, `InvalidRepository`.
        """
        limits = limits or FetchLimits()
        into.mkdir(parents=True)
        try:
            with self._session(repository, credential, limits.seconds, cancel) as session:
                try:
                    job = _Fetch(session, limits, submodules, on_note or (lambda _: None))
                    committed_at = job.fetch(repository, revision.commit, into, depth=0)
                except DeadlinePassed:
                    raise BuildTimeout(f"fetching the repository took longer than {limits.seconds:.0f} s") from None
            return Checkout(into, revision.commit, committed_at, job.files, job.bytes, job.contents)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise

    @contextmanager
    def _session(
        self, repository: Repository, credential: str | None, seconds: float, cancel: threading.Event | None
    ) -> Iterator[GitSession]:
        self._work.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix="git-", dir=self._work))
        try:
            secret = Credential.parse(credential, repository.host) if credential else None
            yield GitSession(
                private=private,
                policy=self._policy,
                git=GitCommand(private),
                deadline=time.monotonic() + seconds,
                cancel=cancel,
                ssh=self._ssh,
                askpass=askpass(private, secret, repository) if secret else None,
            )
        finally:
            shutil.rmtree(private, ignore_errors=True)


class _Fetch:
    """One fetch with its submodules: what all of them may still take."""

    def __init__(self, session: GitSession, limits: FetchLimits, submodules: bool, on_note: Note) -> None:
        self._session = session
        self._limits = limits
        self._with_submodules = submodules
        self._note = on_note
        self._count = 0
        self.files = 0
        self.bytes = 0
        self.contents: dict[str, bytes] = {}

    def fetch(self, repository: Repository, commit: str, into: Path, *, depth: int, below: str = "") -> int:
        """Fetches one commit into the empty directory `into`, which is `below` the repository; the commit's time."""
        store = self._session.private / f"store-{self._count}"
        self._count += 1
        git = f"--git-dir={store}"
        kind = "sha1" if len(commit) == 40 else "sha256"
        self._session.local("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", "--", str(store))
        self._download(repository, commit, git, store)
        listing = Listing(self._limits.files - self.files, self._limits.bytes - self.bytes)
        self._session.local(git, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, on_output=listing.feed)
        self.files += listing.files
        self.bytes += listing.bytes
        written = listing.attributes.digest()
        self.contents |= {f"{below}{path}": each + written for path, each in listing.contents.items()}
        self._check_room(listing.bytes)
        try:
            self._session.local(git, f"--work-tree={into}", "checkout", "--quiet", "--force", "--detach", commit, "--")
        except GitFailed as failure:
            raise InvalidRepository("the repository's files can't be written to this disk as they are") from failure
        time_text = self._session.local(git, "show", "--no-patch", "--format=%ct", commit, "--").split()
        if listing.submodules:
            self._submodules(repository, commit, into, git, listing.submodules, depth, below)
        shutil.rmtree(store, ignore_errors=True)
        return int(time_text[-1])

    def _download(self, repository: Repository, commit: str, git: str, store: Path) -> None:
        def watch() -> None:
            size = _bytes_in(store / "objects" / "pack")
            if size > self._limits.bytes - self.bytes:
                raise SourceTooLarge(f"the repository is larger than {_size(self._limits.bytes)}")
            self._check_room(0)

        watch()
        options = [git, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
        try:
            self._session.remote(repository, [*options, "--depth=1"], ["--", "{url}", commit], watch)
        except WholeOnly:
            # A server that hands out no single commits: all branches and tags, within the same limits.
            refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
            self._session.remote(repository, options, ["--", "{url}", *refs], watch)
        try:
            self._session.local(git, "cat-file", "-e", f"{commit}^{{commit}}")
        except GitFailed:
            raise RefNotFound(f"the repository has no commit {commit[:12]}") from None

    def _submodules(
        self, repository: Repository, commit: str, into: Path, git: str, found: list[Submodule], depth: int, below: str
    ) -> None:
        if not self._with_submodules:
            self._note(f"{len(found)} submodules are left empty; the option `submodules` has them fetched")
            return
        if depth >= _MAX_SUBMODULE_DEPTH or self._count + len(found) > _MAX_SUBMODULES:
            raise InvalidRepository("the repository's submodules are nested too deeply, or too many")
        urls = self._submodule_urls(commit, git)
        for submodule in found:
            place = into / submodule.path
            if submodule.path not in urls:
                self._note(f"{submodule.path} is left empty: .gitmodules doesn't say where it comes from")
                continue
            if place.resolve() != into.resolve() / submodule.path or not place.is_dir() or any(place.iterdir()):
                raise InvalidRepository(f"the submodule {submodule.path} is not a directory of its own")
            self._note(f"fetching the submodule {submodule.path}")
            try:
                address = urls[submodule.path]
                if address.startswith(("./", "../")):
                    address = urljoin(f"{repository.url}/", address)
                inside = f"{below}{submodule.path}/"
                self.fetch(parse_repository(address), submodule.commit, place, depth=depth + 1, below=inside)
            except BinderError as error:
                message = f"submodule {submodule.path}: {error.message}"
                raise type(error)(message, suggestions=error.suggestions, details=error.details) from None

    def _submodule_urls(self, commit: str, git: str) -> dict[str, str]:
        """The address of each submodule by its path, as .gitmodules has them."""
        try:
            listed = self._session.local(git, "config", "--blob", f"{commit}:.gitmodules", "--null", "--list")
        except (GitFailed, OutputTooLarge):
            return {}
        values: dict[str, dict[str, str]] = {}
        for entry in listed.decode("utf-8", "replace").split("\0"):
            key, _, value = entry.partition("\n")
            if key.startswith("submodule."):
                name, _, field = key.removeprefix("submodule.").rpartition(".")
                values.setdefault(name, {})[field] = value
        return {each["path"]: each["url"] for each in values.values() if "path" in each and "url" in each}

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._session.private).free
        if free - needed < self._limits.free_bytes:
            raise NoSpace(
                f"{_size(free)} are free on the disk of the build service, "
                f"{_size(needed + self._limits.free_bytes)} are needed"
            )


def _candidates(repository: Repository) -> list[tuple[str | None, str | None]]:
    """The pairs of ref and subdirectory that the repository's ref may stand for, longest ref first."""
    ref = repository.ref
    if ref is None or not repository.ref_is_pasted:
        return [(ref, None)]
    parts = ref.split("/")[:20]
    return [("/".join(parts[:cut]), "/".join(parts[cut:]) or None) for cut in range(len(parts), 0, -1)]


def _full_names(ref: str | None) -> list[str]:
    """The names on the server that `ref` may have, best first; a tag's `^{}` is the commit that it is a label of."""
    if ref is None or ref == "HEAD":
        return ["HEAD"]
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def _refs(listed: bytes) -> dict[str, str]:
    refs: dict[str, str] = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        commit, _, name = line.partition("\t")
        if is_commit(commit) and commit != _ZERO:
            refs[name] = commit
    return refs


def _no_ref(repository: Repository) -> RefNotFound:
    ref = repository.ref
    if ref is None:
        return RefNotFound("the repository is empty", suggestions=("commit something first",))
    if _SHORT_COMMIT.fullmatch(ref):
        return RefNotFound(
            f"the repository has no branch or tag {ref}",
            suggestions=("if it is the start of a commit id: give all of its 40 digits",),
        )
    return RefNotFound(f"the repository has no branch or tag {ref}")


def _bytes_in(directory: Path) -> int:
    """What its files hold; those that git renames or removes meanwhile are left out, and there may be none yet."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def _size(count: float) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
