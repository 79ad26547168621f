"""supervisord, a little more attentive: a program that died is started again within 0.2 s instead of 1 s.

supervisord starts a dead program in the round of its loop after the one in which it saw it die, and a round in which
nothing else happens lasts as long as its poller waits.
"""

from __future__ import annotations

from supervisor.options import ServerOptions
from supervisor.poller import Poller
from supervisor.supervisord import go

_LONGEST_WAIT_SECONDS = 0.2


class AttentivePoller(Poller):  # type: ignore[misc]
    """Waits for what happens, but never for long."""

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        found: tuple[list[int], list[int]] = super().poll(min(timeout, _LONGEST_WAIT_SECONDS))
        return found


def main() -> None:
    """Runs supervisord with the arguments of the command line until it is told to end."""
    options = ServerOptions()
    options.poller = AttentivePoller(options)
    options.realize(doc=__doc__)
    options.first = True
    options.test = False
    go(options)
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    main()
