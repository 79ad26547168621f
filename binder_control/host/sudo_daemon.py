"""`python -m binder_control.host.sudo_daemon COMMAND…`: a daemon of root's that a user's supervisor can end.

A user may not send signals to sudo. This process is the user's own: what it is sent, it has root pass on to the
daemon, and it ends as the daemon does.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

_SUDO = ("sudo", "--non-interactive")


def main(command: Sequence[str]) -> int:
    """The daemon's exit code."""
    # A session of its own: sudo ignores signals from the process group of its command.
    daemon = subprocess.Popen([*_SUDO, *command], stdin=subprocess.DEVNULL, start_new_session=True)

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's arguments
        kill = ["sh", "-c", 'kill -s "$1" "$2"', "sh", signal.Signals(number).name.removeprefix("SIG"), str(daemon.pid)]
        subprocess.run([*_SUDO, *kill], stdin=subprocess.DEVNULL, check=False, timeout=30)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    return daemon.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
