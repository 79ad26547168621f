"""What the exit codes mean."""

from __future__ import annotations

from binder_protocol.errors import (
    AccessError,
    BinderError,
    BuildCancelled,
    BuildFailed,
    Conflict,
    LaunchFailed,
    NotFound,
    Refused,
    RequestError,
    TimedOut,
)

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNAUTHORIZED = 4
UNREACHABLE = 5
SERVER = 6
INTERRUPTED = 130

EXPLAINED = """\b
Exit codes:
  0    done
  1    the build or the launch failed, or the present state doesn't allow it
  2    the command or the configuration is wrong
  3    there is no such build, template or application
  4    the key is missing or wrong
  5    the server can't be reached, or took too long
  6    the server failed or is out of service
  130  interrupted"""

_CODES: tuple[tuple[tuple[type[BinderError], ...], int], ...] = (
    ((BuildFailed, LaunchFailed, BuildCancelled, Conflict), FAILED),
    ((RequestError,), USAGE),
    ((NotFound,), NOT_FOUND),
    ((AccessError,), UNAUTHORIZED),
    ((Refused, TimedOut), UNREACHABLE),
)


def exit_code(error: BinderError) -> int:
    """The exit code that tells a script what `error` was."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), SERVER)
