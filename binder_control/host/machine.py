"""The machine's commands and files, as root where a step needs it. Every command has a deadline and leaves a log."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from binder_control.errors import ControlError

_LAST_LINES = 40  # a failed build ends with its Dockerfile, and says why before it


class HostError(ControlError):
    """Something about this machine is not as needed."""


class Machine:
    """Runs commands on this machine; output goes to `log`, and its last lines into the error of one that fails."""

    def __init__(self, log: Path, *, docker_host: str = "") -> None:
        self.log = log
        self._environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        if docker_host:
            self._environment["DOCKER_HOST"] = docker_host

    def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,
        timeout: float = 600,
        text: str | None = None,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What the command printed. `text` is its input; `environment` is added to ours (and is kept under sudo).

        Raises HostError when it fails, takes longer than `timeout` seconds, or doesn't exist.
        """
        extra = {**(environment or {}), "DEBIAN_FRONTEND": "noninteractive"}
        command = [*self.as_root(extra), *argv] if root else list(argv)
        try:
            done = subprocess.run(
                command,
                input=text,
                stdin=None if text is not None or root else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                cwd=directory,
                env={**self._environment, **extra},
                check=False,
            )
        except FileNotFoundError:
            raise HostError(f"{command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise HostError(f"{_shown(argv)} took longer than {timeout:.0f} s", f"see {self.log}") from None
        self._record(argv, done.stdout + done.stderr)
        if done.returncode != 0:
            last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
            raise HostError(f"{_shown(argv)} failed ({done.returncode}):\n{last}", f"see {self.log}")
        return done.stdout

    def pipe(self, source: Sequence[str], sink: Sequence[str], *, timeout: float) -> str:
        """`source | sink`, both by root. What the sink printed; raises as `run` does."""
        producer, consumer = [*self.as_root(), *source], [*self.as_root(["DOCKER_HOST"]), *sink]
        try:
            with (
                subprocess.Popen(producer, stdout=subprocess.PIPE, env=self._environment) as first,
                subprocess.Popen(
                    consumer, stdin=first.stdout, stdout=subprocess.PIPE, text=True, env=self._environment
                ) as second,
            ):
                assert first.stdout
                first.stdout.close()
                try:
                    printed, _ = second.communicate(timeout=timeout)
                    code = first.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    first.kill()
                    second.kill()
                    raise
        except FileNotFoundError as error:
            raise HostError(f"{error.filename} is not installed") from None
        except subprocess.TimeoutExpired:
            raise HostError(f"{_shown(sink)} took longer than {timeout:.0f} s") from None
        if code or second.returncode:
            raise HostError(f"{_shown(source)} | {_shown(sink)} failed ({code}, {second.returncode})")
        return printed

    def write(self, path: Path, text: str, *, mode: int = 0o644) -> None:
        """Write a file of root's, with its directories."""
        self.run(["install", "-D", f"--mode={mode:o}", "/dev/stdin", str(path)], root=True, text=text)

    def as_root(self, variables: Collection[str] = ()) -> list[str]:
        """What comes before a command so that root runs it, with these variables of ours kept.

        sudo may ask for a password, on a terminal only.
        """
        if os.geteuid() == 0:
            return []
        if not shutil.which("sudo"):
            raise HostError("this needs root, and there is no sudo", "run the same command as root")
        prompt = [] if sys.stdin and sys.stdin.isatty() else ["--non-interactive"]
        # By name: their values would be seen by everybody as arguments.
        kept = [f"--preserve-env={','.join(sorted(variables))}"] if variables else []
        return ["sudo", *prompt, *kept]

    def _record(self, argv: Sequence[str], output: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {_shown(argv)}\n{output}\n")


def _shown(argv: Sequence[str]) -> str:
    return " ".join(argv[:6]) + (" …" if len(argv) > 6 else "")
