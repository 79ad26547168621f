"""The suite on this machine: started in order, stopped in the opposite one, seen as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from binder_control import logfiles, ports
from binder_control.config import Configuration
from binder_control.errors import ControlError, NotRunning, StartFailed
from binder_control.lock import Report, one_at_a_time
from binder_control.paths import Paths
from binder_control.programs import Program
from binder_control.readiness import Readiness, ask
from binder_control.supervisor import ProgramState, Supervisor
from binder_control.supervisor_config import supervisor_config

_SHORTEST_PAUSE, _LONGEST_PAUSE, _PAUSE_SHARE = 0.03, 0.5, 0.05
_LAST_LINES = 8
_BLIND_SECONDS = 120


class Suite:
    """All programs of one home. Changes hold a lock, so that two people at once do one thing after the other."""

    def __init__(
        self,
        configuration: Configuration,
        programs: Sequence[Program],
        environ: Mapping[str, str],
        report: Report,
        check_engine: Callable[[], None],
    ) -> None:
        """`check_engine` is called before the first service is started, and raises ControlError where it can't be."""
        self.configuration = configuration
        self.programs = {program.name: program for program in programs}
        self.supervisor = Supervisor(configuration.paths)
        self.environ = environ
        self._report = report
        self._check_engine = check_engine

    def start_all(self) -> None:
        """Everything runs and is ready when this returns; what ran before goes on.

        Raises PortTaken, or StartFailed with the last lines of the program's log; what this call had started is
        stopped again then.
        """
        self.start(*self.programs)

    def start(self, *names: str) -> None:
        """As `start_all`, for these programs."""
        wanted = self.named(*names)
        with one_at_a_time(self.configuration.paths, self._report):
            ended = self.supervisor.end_abandoned(self._stop_seconds())
            if ended:
                self._report("", f"{ended} programs of an earlier run were ended", None)
            fresh = not self.supervisor.running()
            states = {} if fresh else self.supervisor.states()
            waiting = [each for each in wanted if each.name not in states or not states[each.name].runs]
            self._require_known(waiting, states, fresh=fresh)
            ports.require_free(port for program in waiting for port in program.ports)
            if not any(program.first for program in waiting):
                self._look_at_engine(waiting)
            if fresh:
                self._launch()
            started: list[Program] = []
            try:
                self._start(wanted, waiting, started)
            except BaseException:
                self._take_back(started, everything=fresh)
                raise

    def stop_all(self) -> bool:
        """Ends supervisord with all it runs; returns whether anything ran."""
        with one_at_a_time(self.configuration.paths, self._report):
            if self.supervisor.running():
                self._shutdown()
                return True
            return self.supervisor.end_abandoned(self._stop_seconds()) > 0

    def stop(self, *names: str) -> None:
        """Ends these programs, the last of the table first."""
        wanted = self.named(*names)
        with one_at_a_time(self.configuration.paths, self._report):
            states = self.supervisor.states()
            for program in reversed(wanted):
                if program.name in states and states[program.name].state not in ("stopped", "exited", "fatal"):
                    since = time.monotonic()
                    self.supervisor.stop(program.name, program.stop_seconds)
                    self._report(program.name, "stopped", time.monotonic() - since)
                else:
                    self._report(program.name, "doesn't run", None)

    def states(self) -> dict[str, ProgramState]:
        """The state of every program. Raises NotRunning."""
        return self.supervisor.states()

    def readiness(self, names: Sequence[str]) -> dict[str, Readiness]:
        """What these programs say of themselves, asked side by side."""
        found: dict[str, Readiness] = {}

        def look(program: Program) -> None:
            found[program.name] = ask(program, self.configuration.key)

        threads = [threading.Thread(target=look, args=(self.programs[name],), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def changed(self) -> bool:
        """Whether the configuration is another one than supervisord was launched with."""
        return self.supervisor.config() != self._config()

    def _start(self, wanted: Sequence[Program], waiting: Sequence[Program], started: list[Program]) -> None:
        since = time.monotonic()
        deadline = since + self.configuration.control.start_seconds
        for program in wanted:
            if program not in waiting:
                continue
            if started and started[-1].first:
                self._look_at_engine([program])
            program.write_files()
            self.supervisor.start(program.name)
            started.append(program)
            self._report(program.name, "started", None)
            if program.first:
                self._wait(program, since, deadline)
        for program in wanted:
            if program not in waiting:
                self._report(program.name, "runs already", None)
            elif not program.first:
                self._wait(program, since, deadline)

    def _look_at_engine(self, waiting: Sequence[Program]) -> None:
        if any(not program.first for program in waiting):
            self._check_engine()

    def _wait(self, program: Program, since: float, deadline: float) -> None:
        while True:
            state = self.supervisor.states()[program.name]
            if state.failed:
                raise self._failure(program, f"{program.name} ended by itself")
            readiness = ask(program, self.configuration.key) if state.runs else Readiness(ready=False, why=state.state)
            if readiness.ready:
                self._report(program.name, "ready", time.monotonic() - since)
                return
            if time.monotonic() > deadline:
                limit = f"{self.configuration.control.start_seconds:g} s"
                raise self._failure(program, f"{program.name} is not ready after {limit}: {readiness.why}", lines=0)
            time.sleep(min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, _PAUSE_SHARE * (time.monotonic() - since))))

    def _failure(self, program: Program, words: str, *, lines: int = _LAST_LINES) -> StartFailed:
        log = self.configuration.paths.log(program.name)
        found = logfiles.tail(log, lines)
        last = "\n".join(("; its last lines:", *(f"    {line}" for line in found))) if found else ""
        return StartFailed(f"{words}{last}", "binder-control doctor", f"the whole log is {log}")

    def _launch(self) -> None:
        commands = {program.name: program.command for program in self.programs.values()}
        self.supervisor.launch(self._config(), commands, self.environ)

    def _config(self) -> str:
        control = self.configuration.control
        return supervisor_config(
            self.configuration.paths,
            list(self.programs.values()),
            log_bytes=control.log_bytes,
            log_files=control.log_files,
        )

    def _take_back(self, started: Sequence[Program], *, everything: bool) -> None:
        if everything:
            self._shutdown()
            return
        for program in reversed(started):
            self.supervisor.stop(program.name, program.stop_seconds)

    def _shutdown(self) -> None:
        # All at once, where supervisord would end one after the other; what the others stand on is left to it.
        for name, state in self.states().items():
            if state.runs and not (name in self.programs and self.programs[name].first):
                self.supervisor.tell_to_stop(name)
        self.supervisor.shutdown(self._stop_seconds())

    def _stop_seconds(self) -> float:
        return sum(program.stop_seconds for program in self.programs.values())

    def named(self, *names: str) -> list[Program]:
        """These programs, in the order of starting. Raises ControlError for a name that nobody has."""
        for name in names:
            if name not in self.programs:
                raise ControlError(f"there is no service {name}", f"there are {', '.join(self.programs)}")
        return [program for program in self.programs.values() if program.name in names]

    def _require_known(self, waiting: Sequence[Program], states: Mapping[str, ProgramState], *, fresh: bool) -> None:
        for program in waiting:
            if not fresh and program.name not in states:
                raise NotRunning(
                    f"{program.name} was not part of the suite when it was started",
                    "binder-control stop-all, then binder-control start-all",
                )


def stop_blindly(paths: Paths, report: Report) -> bool:
    """As `stop_all`, for a home whose configuration can't be read: supervisord knows what it runs."""
    supervisor = Supervisor(paths)
    with one_at_a_time(paths, report):
        if supervisor.running():
            supervisor.shutdown(_BLIND_SECONDS)
            return True
        return supervisor.end_abandoned(_BLIND_SECONDS) > 0
