"""What binder-control itself reports: a sentence, and what to do next."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3
EXIT_CONFIG = 78


class ControlError(Exception):
    """Something could not be done; its suggestions are commands or settings that mend it."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *suggestions: str) -> None:
        super().__init__(message)
        self.message = message
        self.suggestions = suggestions


class PortTaken(ControlError):
    """A port that the suite needs is another program's."""


class StartFailed(ControlError):
    """A program did not become ready."""


class NotRunning(ControlError):
    """The suite doesn't run."""

    exit_code = EXIT_NOT_RUNNING
