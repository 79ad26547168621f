"""BuildKit on other machines or in a cluster, as buildx knows it: the builders, made and asked. Commands are values.

buildx keeps its list of builders in files; those named by our settings are in a list of their own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from binder_build.process import Cancelled, DeadlinePassed, follow
from binder_protocol.errors import EngineError

log = structlog.get_logger()

_COMMAND_SECONDS = 20.0
_BOOT_SECONDS = 300.0
_MAX_WORDS = 65_536
_RUNNING = re.compile(r"^Status:\s+running\s*$", re.M)


@dataclass(frozen=True, slots=True)
class RemoteBuilder:
    """One builder: its name for buildx, and how buildx makes it known."""

    name: str
    driver: str
    address: str | None = None
    options: tuple[str, ...] = ()
    config: Path | None = None

    def creation(self) -> list[str]:
        """What follows the words of the command. Done twice is done once: a node of that name is changed."""
        words = ["create", "--name", self.name, "--node", f"{self.name}-0", "--driver", self.driver]
        for option in self.options:
            words += ["--driver-opt", option]
        if self.config is not None:
            words += ["--config", str(self.config)]
        return [*words, *([self.address] if self.address else [])]


@dataclass(frozen=True, slots=True)
class Pods:
    """Builders that are pods of a cluster, each of a Deployment of its own, which buildx makes by its own driver."""

    count: int
    namespace: str
    image: str | None = None
    options: tuple[str, ...] = ()

    def builders(self, config: Path | None) -> list[RemoteBuilder]:
        """One for each pod."""
        given = [f"namespace={self.namespace}", *([f"image={self.image}"] if self.image else []), *self.options]
        return [
            RemoteBuilder(f"binder-builder-{number}", "kubernetes", options=tuple(given), config=config)
            for number in range(self.count)
        ]


def at_addresses(addresses: Sequence[str], certificates: Path | None) -> list[RemoteBuilder]:
    """Those that listen already. `certificates` holds ca.pem, and cert.pem and key.pem, by which they know us."""
    options: tuple[str, ...] = ()
    if certificates is not None:
        files = {"cacert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
        options = tuple(f"{option}={certificates / name}" for option, name in files.items())
    return [
        RemoteBuilder(f"binder-remote-{number}", "remote", address, options) for number, address in enumerate(addresses)
    ]


def daemon_config(host: str, *, plain: bool, ca: Path | None) -> str:
    """buildkitd.toml for pods that take images from, and push them to, the registry at `host`."""
    lines = [f"[registry.{json.dumps(host)}]"]
    if plain:
        lines.append("  http = true")
    elif ca is not None:
        lines.append(f"  ca = [{json.dumps(str(ca))}]")
    return "\n".join([*lines, ""])


class RemoteBuilders:
    """The builders, made known to buildx when they are first needed."""

    def __init__(
        self,
        builders: Sequence[RemoteBuilder],
        *,
        environ: Mapping[str, str],
        files: Mapping[Path, str] | None = None,
        buildx: Sequence[str] = ("docker", "buildx"),
    ) -> None:
        """`environ`: the variables of buildx; `files` are written before it is asked to make builders."""
        self._builders = tuple(builders)
        self._environ = dict(environ)
        self._files = dict(files or {})
        self._command = tuple(buildx)
        self._lock = threading.Lock()
        self._made = False
        self._stopping = threading.Event()
        self._boots: list[threading.Thread] = []

    @property
    def names(self) -> list[str]:
        """In no order that means anything."""
        return [each.name for each in self._builders]

    def start(self) -> None:
        """Has the pods started, behind whatever else goes on."""
        pods = [each for each in self._builders if each.driver == "kubernetes"]
        self._boots = [threading.Thread(target=self._boot, args=(each,), name=f"boot-{each.name}") for each in pods]
        for boot in self._boots:
            boot.start()

    def stop(self) -> None:
        """Leaves the builders as they are."""
        self._stopping.set()
        for boot in self._boots:
            boot.join()

    def make(self) -> None:
        """Makes all known to buildx. Raises EngineError."""
        with self._lock:
            if self._made:
                return
            for place, text in self._files.items():
                place.write_text(text)
            for each in self._builders:
                code, words = self._run(each.creation(), _COMMAND_SECONDS)
                if code:
                    raise EngineError(
                        f"buildx doesn't take the builder {each.name}: {words[-1] if words else 'it does not say why'}"[
                            :500
                        ],
                        suggestions=("operator: see the builders in the build service's settings",),
                    )
            self._made = True

    def asking(self, name: str) -> Callable[[], subprocess.Popen[bytes]] | None:
        """What starts a question about that builder, where it is one pod."""
        if not any(each.name == name and each.driver == "kubernetes" for each in self._builders):
            return None
        return lambda: self._started(["inspect", name])

    def runs(self, name: str) -> bool:
        """Whether that one answers just now. Raises EngineError where none could be made."""
        self.make()
        code, words = self._run(["inspect", name], _COMMAND_SECONDS)
        return code == 0 and _RUNNING.search("\n".join(words)) is not None

    def _boot(self, builder: RemoteBuilder) -> None:
        try:
            self.make()
            code, words = self._run(["inspect", "--bootstrap", builder.name], _BOOT_SECONDS)
        except EngineError as error:
            code, words = 1, [error.message]
        except Cancelled:
            return
        if code:
            log.warning("a builder didn't start", builder=builder.name, reason=words[-1] if words else "")

    def _started(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, *arguments],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _run(self, arguments: Sequence[str], seconds: float) -> tuple[int, list[str]]:
        """The exit code, and the lines that were said; what takes too long has failed. Raises Cancelled at the end."""
        said = bytearray()

        def hear(chunk: bytes) -> None:
            said.extend(chunk[: _MAX_WORDS - len(said)])

        try:
            process = self._started(arguments)
        except OSError as error:
            return 1, [f"{self._command[0]}: {error.strerror}"]
        with suppress(DeadlinePassed):
            code = follow(process, seconds=seconds, cancel=self._stopping, on_output=hear)
            return code, said.decode("utf-8", "replace").splitlines()
        return 1, [f"no answer within {seconds:.0f} s"]


def environment(
    builders: Path | None, docker_config: Path | None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables of buildx: with the list of builders in the directory `builders`, else where it is anyway.

    `docker_config`: where logins are instead.
    """
    given = dict(os.environ if environ is None else environ)
    usual = given.get("BUILDX_CONFIG") or f"{given.get('DOCKER_CONFIG') or Path('~/.docker').expanduser()}/buildx"
    more = {} if docker_config is None else {"DOCKER_CONFIG": str(docker_config)}
    return {**given, **more, "BUILDX_CONFIG": usual if builders is None else str(builders)}
