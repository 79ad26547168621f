"""What one call of binder-control works with: the environment, the configuration, the suite, the terminal."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from binder_control.paths import Paths, home_of

if TYPE_CHECKING:
    from binder_control.config import Configuration
    from binder_control.suite import Suite


class Session:
    """Made once per call. Nothing is read before a command asks for it, so that help is quick."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @functools.cached_property
    def configuration(self) -> Configuration:
        """Raises ConfigError."""
        from binder_control import config

        return config.load(self.environ)

    @functools.cached_property
    def suite(self) -> Suite:
        from binder_control.assembly import assemble

        return assemble(self.configuration, self.environ, progress)

    def add(self, variables: Mapping[str, str]) -> None:
        """As if the environment had them."""
        self.environ = {**self.environ, **variables}
        self.reload()

    def reload(self) -> None:
        """Forgets what was read, after a file of it was written."""
        for name in ("configuration", "suite"):
            self.__dict__.pop(name, None)


def session_of(context: typer.Context) -> Session:
    """The session of this call."""
    found = context.find_object(Session)
    assert found is not None
    return found


def make_session(home: Path | None) -> Session:
    """A session for `home`, or for the home that the environment names."""
    environ = dict(os.environ)
    if home is not None:
        environ["BINDER_HOME"] = str(home.expanduser().absolute())
    environ.setdefault("BINDER_HOME", str(home_of(environ)))
    backend = Paths(home_of(environ)).kept_backend()
    if backend is not None:
        environ["BINDER_DEPLOY_BACKEND"] = backend
    return Session(environ)


def progress(name: str, what: str, seconds: float | None) -> None:
    """One step on standard error, where it doesn't get in the way of what a script reads."""
    took = "" if seconds is None else f"  {seconds:.1f} s"
    say(f"{name + ':':<12}{what}{took}" if name else what)


def say(words: str) -> None:
    """A line for people, on standard error."""
    print(words, file=sys.stderr, flush=True)


def complain(message: str, suggestions: Sequence[str]) -> None:
    """An error with what to do next, on standard error."""
    say(f"error: {message}")
    for suggestion in dict.fromkeys(suggestions):
        say(f"  try: {suggestion}")


def print_json(value: object) -> None:
    """`value` as JSON on standard output."""
    print(json.dumps(value, indent=2, default=str))
