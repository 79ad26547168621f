"""supervisord: starting it, talking to it, and ending it with all that it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from binder_control.errors import ControlError, NotRunning, StartFailed
from binder_control.paths import Paths
from binder_control.rpc import Rpc

_LAUNCH_SECONDS = 20
_END_SECONDS = 10


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of one program. `state` is supervisord's word, in lower case."""

    name: str
    state: str
    pid: int | None
    started: int | None
    why: str

    @property
    def runs(self) -> bool:
        return self.state in ("running", "starting")

    @property
    def failed(self) -> bool:
        return self.state in ("fatal", "backoff", "exited", "unknown")


class Supervisor:
    """The supervisord of one home, known by its socket."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._rpc = Rpc(paths.socket)

    def running(self) -> bool:
        """Whether it answers. Raises ControlError where something is there that doesn't."""
        try:
            self._rpc.call("getState")
        except NotRunning:
            return False
        return True

    def launch(self, config: str, commands: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> None:
        """Starts it, with no program running yet. `commands` are those of its programs, by name. Raises StartFailed."""
        paths = self._paths
        paths.supervisor_config.write_text(config, encoding="utf-8")
        command = [sys.executable, "-P", "-m", "binder_control.supervisord", "-c", str(paths.supervisor_config)]
        try:
            done = subprocess.run(
                command,
                env=dict(environ),
                cwd=paths.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_LAUNCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StartFailed(f"supervisord did not start within {_LAUNCH_SECONDS} s") from error
        if done.returncode != 0:
            raise StartFailed(f"supervisord did not start: {done.stdout.strip()[-500:]}")
        paths.launched.write_text(
            json.dumps({name: list(command) for name, command in commands.items()}), encoding="utf-8"
        )

    def config(self) -> str:
        """The configuration it was launched with."""
        return self._paths.supervisor_config.read_text(encoding="utf-8")

    def pid(self) -> int:
        return int(self._rpc.call("getPID"))

    def states(self) -> dict[str, ProgramState]:
        """Every program by name. Raises NotRunning."""
        found = [_state(each) for each in self._rpc.call("getAllProcessInfo")]
        return {each.name: each for each in found}

    def start(self, name: str) -> None:
        """Starts a program without waiting for it."""
        wait = False
        self._rpc.call("startProcess", name, wait)

    def stop(self, name: str, seconds: float) -> None:
        """Ends a program; it has `seconds` before supervisord kills it."""
        wait = True
        self._rpc.call("stopProcess", name, wait, timeout=seconds + _END_SECONDS)

    def tell_to_stop(self, name: str) -> None:
        """Has a program end, without waiting for it."""
        wait = False
        self._rpc.call("stopProcess", name, wait)

    def shutdown(self, seconds: float) -> None:
        """Ends it and every program, in the opposite order of their start, within about `seconds`."""
        process = psutil.Process(self.pid())
        self._rpc.call("shutdown")
        try:
            process.wait(seconds + _END_SECONDS)
        except psutil.TimeoutExpired as error:
            raise ControlError(
                f"supervisord (pid {process.pid}) has not ended within {seconds + _END_SECONDS:g} s",
                f"see {self._paths.log('supervisord')}",
            ) from error
        self._paths.launched.unlink(missing_ok=True)

    def launched(self) -> dict[str, list[str]]:
        """The command of each program of the supervisord that was launched last and hasn't ended in good order."""
        try:
            found: dict[str, list[str]] = json.loads(self._paths.launched.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def abandoned(self) -> list[psutil.Process]:
        """Programs that outlived a supervisord of this home which was killed.

        Their environment names its socket, and their command is one that it ran: what they started themselves, such as
        an engine's containers, is left alone.
        """
        commands = list(self.launched().values())
        if not commands or self.running():
            return []
        mark = f"unix://{self._paths.socket}"
        return [each for each in psutil.process_iter() if _is_of(each, mark, commands)]

    def end_abandoned(self, seconds: float) -> int:
        """Ends them, and returns how many there were. Raises ControlError where one can't be ended."""
        if self.running():
            return 0
        processes = self.abandoned()
        try:
            for process in processes:
                process.terminate()
            _, alive = psutil.wait_procs(processes, seconds)
            for process in alive:
                process.kill()
            _, alive = psutil.wait_procs(alive, _END_SECONDS)
        except psutil.NoSuchProcess:
            return self.end_abandoned(seconds)
        except psutil.AccessDenied as error:
            raise ControlError(f"process {error.pid} of an earlier run can't be ended by this user") from error
        if alive:
            raise ControlError(f"process {alive[0].pid} of an earlier run can't be ended")
        self._paths.launched.unlink(missing_ok=True)
        return len(processes)


def _state(info: Mapping[str, object]) -> ProgramState:
    pid = int(str(info["pid"]))
    return ProgramState(
        name=str(info["name"]),
        state=str(info["statename"]).lower(),
        pid=pid or None,
        started=int(str(info["start"])) if pid else None,
        why=str(info["spawnerr"] or info["description"]),
    )


def _is_of(process: psutil.Process, mark: str, commands: Sequence[Sequence[str]]) -> bool:
    try:
        words = process.cmdline()
        # `env` and the like give way to the command behind them.
        return (
            len(words) > 1
            and any(list(command[-len(words) :]) == words for command in commands)
            and process.environ().get("SUPERVISOR_SERVER_URL") == mark
        )
    except (psutil.Error, OSError):
        return False
