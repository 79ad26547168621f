"""A real sshd on the loopback that serves git repositories to one key, as the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.git_server import ServedRepository, create_repository
from tests.support.processes import free_port

# What git asks for, and nothing else; the path is below the root of the repositories.
_FORCED = """#!/bin/sh
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >> {log}
cd {root} || exit 1
case "$SSH_ORIGINAL_COMMAND" in
    "git-upload-pack '/"*"'") path=${{SSH_ORIGINAL_COMMAND#*/}}; exec git-upload-pack "./${{path%?}}" ;;
esac
echo "this key is for git alone" >&2
exit 128
"""


def program() -> str | None:
    """Where sshd is; it wants to be called by its whole path."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class SshServer:
    """The server: `url` is where its repositories are, `key` opens it, `known_hosts` knows it."""

    url: str
    port: int
    root: Path
    key: Path
    known_hosts: Path
    commands: Path

    def create(self, path: str, files: dict[str, str | bytes | None]) -> ServedRepository:
        """A repository at `/<path>.git`."""
        return create_repository(self.root, self.url, path, files)


def make_key(place: Path, passphrase: str = "") -> Path:
    """A new key in the file `place`, its public half beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(place)]
    subprocess.run(command, check=True, timeout=30)
    return place


@contextmanager
def ssh_server(root: Path) -> Iterator[SshServer]:
    """Serves the repositories below `root` on a free port until the block ends."""
    private = root / "ssh"
    private.mkdir(parents=True)
    port, user = free_port(), getpass.getuser()
    host_key, key = make_key(private / "host"), make_key(private / "people")
    server = SshServer(f"ssh://{user}@127.0.0.1:{port}", port, root, key, private / "known_hosts", private / "commands")
    known = (private / "host.pub").read_text()
    server.known_hosts.write_text(f"[127.0.0.1]:{port} {known}")
    forced = private / "forced"
    forced.write_text(_FORCED.format(log=server.commands, root=root))
    forced.chmod(0o755)
    (private / "authorized").write_text(f'command="{forced}",restrict {key.with_suffix(".pub").read_text()}')
    config = private / "config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nAuthorizedKeysFile {private / 'authorized'}\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # what sshd separates its privileges with
    sshd = program()
    assert sshd is not None
    with (private / "log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:

        def listens() -> bool:
            return process.poll() is not None or b"listening on" in (private / "log").read_bytes()

        eventually(listens, within=20, what="sshd's start")
        assert process.poll() is None, (private / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(10)
