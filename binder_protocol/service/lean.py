"""Keeps out of a service's memory what its libraries load for terminals alone."""

from __future__ import annotations

import sys


def without_terminal_libraries() -> None:
    """Makes structlog do without rich, which would cost 4 MB a service; only for a process that is a service.

    Must be called before structlog is imported for the first time.
    """
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python spells "not installed"
