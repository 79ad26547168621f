"""supervisord's configuration as text: a pure function of the programs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from binder_control.paths import Paths
from binder_control.programs import Program

_MOST_RETRIES = 100  # each wait is a second longer than the one before: more than an hour in all


def supervisor_config(paths: Paths, programs: Sequence[Program], *, log_bytes: int, log_files: int) -> str:
    """The whole file. It holds no secret: programs read the key's file themselves."""
    general = _section(
        "supervisord",
        {
            "logfile": paths.log("supervisord"),
            "logfile_maxbytes": log_bytes,
            "logfile_backups": log_files,
            "pidfile": paths.supervisor_pid,
            "childlogdir": paths.logs,
            "directory": paths.home,
            "umask": "077",
            "nodaemon": "false",
            "minfds": 1024,
            "strip_ansi": "false",
            # Said aloud, or supervisord warns on every start as root.
            **({"user": "root"} if os.geteuid() == 0 else {}),
        },
    )
    door = _section("unix_http_server", {"file": paths.socket, "chmod": "0600"})
    rpc = (
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
    )
    each = [
        _program(paths, program, priority, log_bytes=log_bytes, log_files=log_files)
        for priority, program in enumerate(programs, 1)
    ]
    return "\n".join((general, door, rpc, *each))


def _program(paths: Paths, program: Program, priority: int, *, log_bytes: int, log_files: int) -> str:
    entries: dict[str, object] = {
        "command": shlex.join(program.command),
        # binder-control starts them itself, in order, and looks at each port first.
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "startretries": _MOST_RETRIES,
        # Programs stop in the opposite order of their priorities.
        "priority": priority,
        "stopsignal": "TERM",
        # TERM goes to the program alone, which ends its own children in good order; KILL takes them all.
        "stopwaitsecs": round(program.stop_seconds),
        "stopasgroup": "false",
        "killasgroup": "true" if program.take_group else "false",
        "redirect_stderr": "true",
        "stdout_logfile": paths.log(program.name),
        "stdout_logfile_maxbytes": log_bytes,
        "stdout_logfile_backups": log_files,
    }
    return _section(f"program:{program.name}", entries)


def _section(name: str, entries: dict[str, object]) -> str:
    lines = [f"{key} = {_plain(str(value))}" for key, value in entries.items()]
    return f"[{name}]\n" + "\n".join(lines) + "\n"


def _plain(value: str) -> str:
    """`value` as supervisord reads it back: it expands %(…)s, and takes what follows ` ;` for a comment."""
    if "\n" in value or " ;" in value:
        raise ValueError(f"supervisord can't be told {value!r}")
    return value.replace("%", "%%")
