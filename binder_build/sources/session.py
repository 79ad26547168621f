"""One piece of work with git: its private directory, its deadline, the judged way to servers, errors in our words."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from binder_build.process import DeadlinePassed
from binder_build.sources.addresses import AddressPolicy
from binder_build.sources.command import GitCommand, GitFailed, OutputTooLarge, remote_for
from binder_build.sources.redirects import final_repository
from binder_build.sources.repository import Repository
from binder_build.sources.ssh import Ssh
from binder_protocol.errors import (
    InvalidRepository,
    RefNotFound,
    SourceNotFound,
    SourceTooLarge,
    SourceUnreachable,
)


class WholeOnly(Exception):
    """The server hands out no single commits."""


_REDIRECTED = re.compile(r"returned error: 30[12378]")
_NO_SINGLE = re.compile(r"dumb http transport does not support|unadvertised object|does not support shallow", re.I)
_NO_SUCH_REF = re.compile(r"not our ref|couldn't find remote ref|no such remote ref|unexpected object|bad object", re.I)
_NO_KEY = re.compile(
    r"unprotected private key|^load key|^no such identity|identity file .* not accessible", re.I | re.M
)
_DENIED = re.compile(r"permission denied \([a-z]|no supported authentication methods", re.I)
_NO_REPOSITORY = re.compile(
    r"not found|does not exist|not appear to be a git repository|returned error: (401|403|404|410)"
    r"|authentication failed|could not read (username|password)|terminal prompts disabled|permission denied"
    r"|access denied|invalid credentials|not valid: is this a git repository",
    re.I,
)
_REJECTED = re.compile(r"fsck|hasDot|gitmodules|fatal: .*malformed|bad tree|bad config", re.I)


def explained(failure: GitFailed, repository: Repository) -> Exception:
    """The error that git's complaint stands for, in our words: git's own may hold what others should not see."""
    text = failure.complaint
    if _NO_SINGLE.search(text):
        return WholeOnly()
    if _NO_SUCH_REF.search(text):
        return RefNotFound("the repository has no such commit any more, or hands it out to nobody")
    if "returned error: 30" in text:
        return SourceUnreachable("the repository's server redirects without end")
    if "host key verification failed" in text.lower():
        return SourceUnreachable(
            f"{repository.host} shows an ssh key by which this service doesn't know it",
            suggestions=("use the repository's https address", "operator: correct the file of `known_hosts`"),
        )
    if _NO_KEY.search(text):
        return SourceUnreachable(
            "the ssh key of this service can't be used",
            suggestions=("operator: `ssh_key` is a file without passphrase that the service's user alone can read",),
        )
    if _DENIED.search(text):
        return SourceNotFound(
            f"{repository.display_name} doesn't exist, or may not be read with the ssh key of this service",
            suggestions=(
                "use its https address, with a credential where it is private",
                "operator: give the key of `ssh_key` read access",
            ),
        )
    if "certificate" in text.lower():
        return SourceUnreachable(
            f"the certificate of {repository.host} isn't trusted here",
            suggestions=("operator: point SSL_CERT_FILE at a bundle that holds its authority",),
        )
    if _NO_REPOSITORY.search(text):
        return SourceNotFound(f"{repository.display_name} doesn't exist, or may not be read without a credential")
    if _REJECTED.search(text):
        return InvalidRepository("git refuses the repository's objects as malformed or dangerous")
    return SourceUnreachable(f"{repository.host} didn't answer as a git server does")


@dataclass
class GitSession:
    """One piece of work with git: its private directory, its deadline, the way to each repository."""

    private: Path
    policy: AddressPolicy
    git: GitCommand
    deadline: float
    cancel: threading.Event | None
    ssh: Ssh
    askpass: Path | None

    @property
    def remaining(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def local(self, *arguments: str, on_output: Callable[[bytes], None] | None = None) -> bytes:
        """git on what is here already."""
        return self.git.run(
            arguments, cwd=self.private, seconds=self.remaining, cancel=self.cancel, on_output=on_output
        )

    def remote(
        self,
        repository: Repository,
        before: list[str],
        after: list[str],
        watch: Callable[[], None] | None = None,
    ) -> bytes:
        """git on the repository's server; `{url}` in `after` is its address, a new one if the server redirects."""
        try:
            try:
                return self._reach(repository, before, after, watch)
            except GitFailed as failure:
                if not _REDIRECTED.search(failure.complaint) or repository.scheme == "ssh":
                    raise
            return self._reach(self._redirected(repository), before, after, watch)
        except GitFailed as failure:
            raise explained(failure, repository) from None
        except OutputTooLarge:
            raise SourceTooLarge("the repository's server lists more refs than this service reads") from None
        except DeadlinePassed:
            raise SourceUnreachable("the repository's server didn't answer in time") from None

    def _reach(
        self, repository: Repository, before: list[str], after: list[str], watch: Callable[[], None] | None
    ) -> bytes:
        addresses = self.policy.addresses(repository.host, repository.port)
        remote = remote_for(repository, addresses, askpass=self.askpass, ssh=self.ssh)
        words = [*before, *(remote.url if word == "{url}" else word for word in after)]
        return self.git.run(
            words, cwd=self.private, seconds=self.remaining, remote=remote, cancel=self.cancel, watch=watch
        )

    def _redirected(self, repository: Repository) -> Repository:
        if self.git.uses_proxy:
            raise SourceNotFound(
                "the repository's server redirects, which can't be followed safely through a proxy",
                suggestions=("give the address that it redirects to",),
            )
        return final_repository(
            repository, self.policy, seconds=min(30.0, self.remaining), ca_bundle=self.git.ca_bundle
        )
