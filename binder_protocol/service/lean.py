"""Keeps out of a service's process what its libraries import and nobody there uses: 10 MB, and a third of its start."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

_UNUSED = ("rich", "pydantic.v1", "charset_normalizer")
_SAYS_SO = "Unable to find acceptable character detection dependency"
_COMMAND_LINE = "uvicorn.main"


class _NoCommandLine(ModuleType):
    """What `import uvicorn` wants of its command line, which nobody calls."""

    main = run = None

    def __getattr__(self, name: str) -> object:
        if name != "Server":
            raise AttributeError(name)
        from uvicorn.server import Server

        return Server


def leave_out_unused() -> None:
    """For a process that is a service, and before it imports anything else.

    structlog takes rich in for pretty tracebacks, and ours are JSON; FastAPI looks whether a model is one of
    pydantic 1; requests guesses encodings, and the engine's answers are UTF-8; uvicorn brings its own command line, and
    with it click and multiprocessing. The first three do without where they can't be imported (requests says so in a
    warning), the last is stood in for.
    """
    warnings.filterwarnings("ignore", message=_SAYS_SO)
    for name in _UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    sys.modules[_COMMAND_LINE] = _NoCommandLine(_COMMAND_LINE)
