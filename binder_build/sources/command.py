"""git, run with an explicit argument list, an environment of its own, bounds, and none of its conveniences.

The home of GitPython, of which only `Git.execute` is used: its keyword options were by-passed again and again.
`execute` copies this process's environment, which holds secrets; `env -u` in front of git drops it. Reading,
deadlines, cancelling and the end of the process group are `binder_build.process`, for `execute` can bound
neither the output nor what git starts in its turn.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from binder_build.process import follow
from binder_build.sources.repository import Repository
from binder_build.sources.ssh import Ssh

MAX_OUTPUT = 16_000_000
_MAX_ERROR = 8_000
_CA_VARIABLES = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

# What repositories and their servers must not be able to switch on, and what would only cost time here.
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "core.symlinks=true",
    "core.autocrlf=false",
    "core.bigFileThreshold=32m",
    "core.fsync=none",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "http.followRedirects=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
    "http.emptyAuth=false",
    "http.delegation=none",
    "transfer.fsckObjects=true",
    "transfer.bundleURI=false",
    "fetch.unpackLimit=1",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    # Faults of old tools in thousands of good repositories; none of them makes an object dangerous.
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.missingSpaceBeforeEmail=ignore",
    "fetch.fsck.missingNameBeforeEmail=ignore",
    "fetch.fsck.zeroPaddedFilemode=ignore",
)


class GitFailed(Exception):
    """git ended with an error. `complaint` is the end of what it said, not fit to be shown as it is."""

    def __init__(self, code: int, complaint: str) -> None:
        self.code = code
        self.complaint = complaint
        super().__init__(f"git ended with {code}")


class OutputTooLarge(Exception):
    """git printed more than was asked for."""


@dataclass(frozen=True)
class Remote:
    """How one repository is reached: its address and the settings that hold git to it."""

    url: str
    config: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def remote_for(
    repository: Repository,
    addresses: Sequence[str],
    *,
    askpass: Path | None = None,
    ssh: Ssh | None = None,
) -> Remote:
    """The way to `repository` that leads to `addresses` alone, whatever a resolver would say by then."""
    if repository.scheme == "ssh":
        # git gives this to a shell; every word is ours or was checked, and is quoted.
        command = shlex.join((ssh or Ssh()).command(repository, addresses[0]))
        return Remote(repository.url, (), {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"})
    shown = [f"[{address}]" if ":" in address else address for address in addresses]
    config = (
        ()
        if ":" in repository.host
        else (f"http.curloptResolve={repository.host}:{repository.port}:{','.join(shown)}",)
    )
    return Remote(repository.url, config, {"GIT_ASKPASS": str(askpass)} if askpass else {})


class GitCommand:
    """Runs git; `home` is a private directory that stands for its home."""

    def __init__(self, home: Path, environ: Mapping[str, str] | None = None) -> None:
        """From `environ` (this process's own by default) git is given PATH, CA bundle and proxies, nothing else."""
        source = os.environ if environ is None else environ
        self.uses_proxy = any(
            source.get(name) for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY")
        )
        self.ca_bundle = next((source[name] for name in _CA_VARIABLES if source.get(name)), None)
        self._environment = {
            "PATH": source.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
            "HOME": str(home),
            "LC_ALL": "C",
            "LANGUAGE": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh",
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            **{name: source[name] for name in _PROXY_VARIABLES if source.get(name)},
        }
        if self.ca_bundle:
            self._environment["GIT_SSL_CAINFO"] = self.ca_bundle

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        seconds: float,
        remote: Remote | None = None,
        cancel: threading.Event | None = None,
        on_output: Callable[[bytes], None] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> bytes:
        """What git prints, at most 16 MB, or nothing where `on_output` takes it.

        Raises `GitFailed`, `OutputTooLarge`, and what `process.follow` raises.
        """
        output, error = bytearray(), bytearray()

        def keep(chunk: bytes) -> None:
            output.extend(chunk)
            if len(output) > MAX_OUTPUT:
                raise OutputTooLarge

        def complain(chunk: bytes) -> None:
            error.extend(chunk)
            del error[:-_MAX_ERROR]

        # Here and not above: a service at rest does without its 3 MB.
        from git import Git

        environment = {**self._environment, **(remote.environment if remote else {})}
        started = Git(str(cwd)).execute(
            _command(arguments, remote, environment),
            as_process=True,
            shell=False,
            env=environment,
            start_new_session=True,
            umask=0o022,
        )
        code = follow(
            started.proc,  # type: ignore[arg-type]
            seconds=seconds,
            cancel=cancel,
            on_output=on_output or keep,
            on_error=complain,
            watch=watch,
        )
        if code:
            raise GitFailed(code, _plain(bytes(error)))
        return bytes(output)


def _command(arguments: Sequence[str], remote: Remote | None, environment: Mapping[str, str]) -> list[str]:
    config = (*_CONFIG, *(remote.config if remote else ()))
    # Names alone: the values, of which a proxy's may be secret, stay out of what `ps` shows.
    dropped = [name for name in os.environ if name not in environment]
    return [
        "env",
        *(word for name in dropped for word in ("-u", name)),
        "git",
        *(word for setting in config for word in ("-c", setting)),
        *arguments,
    ]


def _plain(error: bytes) -> str:
    return re.sub(r"[^\n -~]", "?", error.decode("utf-8", "replace")).strip()
