"""ssh as git calls it: bound to one address, one key and the servers that are known, without anybody's own settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from binder_build.sources.repository import Repository

_PORT = 22
# Whatever the service's user or this machine has set up for ssh is for people, not for strangers' repositories.
_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "PreferredAuthentications=publickey",
    "IdentityAgent=none",
    "IdentitiesOnly=yes",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ControlPath=none",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=none",
)


@dataclass(frozen=True)
class Ssh:
    """Shows `key` alone; without one, none at all. `known_hosts` lists the servers that are trusted.

    Without `known_hosts` a server is trusted that shows the key that it showed the first time; these keys are kept in
    `learned`. Without both files no server is trusted.
    """

    key: Path | None = None
    known_hosts: Path | None = None
    learned: Path | None = None

    def command(self, repository: Repository, address: str) -> list[str]:
        """The words that lead to the repository's server at `address`."""
        return [
            "ssh",
            "-F",
            "none",
            *(word for option in self._options(repository, address) for word in ("-o", option)),
        ]

    def _options(self, repository: Repository, address: str) -> Iterator[str]:
        yield from _OPTIONS
        yield f"HostName={address}"
        # The name under which known_hosts files, and what ssh-keyscan writes, have the server.
        host = repository.host
        yield f"HostKeyAlias={host if repository.port == _PORT else f'[{host}]:{repository.port}'}"
        file = self.known_hosts or self.learned
        yield f"UserKnownHostsFile={_quoted(file) if file else 'none'}"
        yield f"StrictHostKeyChecking={'yes' if self.known_hosts or file is None else 'accept-new'}"
        yield f"IdentityFile={_quoted(self.key) if self.key else 'none'}"


def _quoted(path: Path) -> str:
    """A path as ssh's options take it: quoted, and with its percent signs meaning themselves."""
    return f'"{path}"'.replace("%", "%%")
