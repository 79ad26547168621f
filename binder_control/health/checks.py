"""The checks: they do what a user does, through the same client, and leave nothing behind."""

from __future__ import annotations

import time
from typing import Protocol

import structlog

from binder_client import Client
from binder_protocol.errors import BinderError, LaunchFailed

log = structlog.get_logger()


class Opener(Protocol):
    """Opens an application's address; raises LaunchFailed where no page comes."""

    def __call__(self, location: str, *, seconds: float) -> None: ...


class EndToEnd:
    """Builds a repository and launches a template. A resource: its connections are closed by stop().

    `own`: the repository, and so its template, is used by nobody else; what a check that was cut short left of it may
    be stopped by the next one. Of a template that others use, it is left to the application's `max-age`.
    Every `afresh` seconds the image is built anew, which leaves one image each time; in between, the image that is
    there is asked for.
    """

    def __init__(
        self,
        client: Client,
        open_page: Opener,
        *,
        repository: str,
        own: bool,
        template: str | None,
        seconds: float,
        afresh: float = 0,
    ) -> None:
        self._client = client
        self._open = open_page
        self._repository = repository
        self._own = own
        self._template = template
        self._seconds = seconds
        self._afresh = afresh
        self._built_at: float | None = None
        self._built: str | None = None

    def start(self) -> None:
        """Nothing is opened before the first check."""

    def stop(self) -> None:
        """Closes the client's connections."""
        self._client.close()

    def build(self) -> None:
        """Builds the repository, anew where that is due, and sees its template registered. Raises BinderError."""
        now = time.monotonic()
        due = self._built_at is None or now - self._built_at >= self._afresh
        started = self._client.build.start(self._repository, force=due)
        build = self._client.build.wait(started.name, timeout=self._seconds)
        if build.template is None:
            raise BinderError("the build is completed, but has no template")
        self._client.registry.fetch(build.template)
        self._built, self._built_at = build.template, now if due else self._built_at

    def deploy(self) -> None:
        """Launches the template, opens it and stops it. Raises BinderError."""
        template = self._template or self._built
        if template is None:
            raise BinderError("there is no template to launch: the build check has not passed yet")
        deadline = time.monotonic() + self._seconds
        if self._own and self._template is None:
            self._stop_left_behind(template)
        milliseconds = round(self._seconds * 1_000)
        # Should nobody be left to stop it, the deploy service does: by its age, whatever its visitors do.
        launched = self._client.deploy.deploy(template, cull_timeout=milliseconds, max_age=2 * milliseconds)
        try:
            application = self._client.deploy.wait(template, launched.id, timeout=self._seconds)
            if application.location is None:
                raise LaunchFailed("the application is deployed, but has no location")
            self._open(application.location, seconds=max(1.0, deadline - time.monotonic()))
        finally:
            self._client.deploy.stop(template, launched.id)

    def _stop_left_behind(self, template: str) -> None:
        for application in self._client.deploy.status_all(template).all():
            if not application.status.ended:
                log.warning("stopping an application that an earlier check left", application=application.id)
                self._client.deploy.stop(template, application.id)
