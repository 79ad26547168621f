"""The operations of each service as typed methods; a method has its operation's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from binder_client.calls import Calls, Page, request_model
from binder_client.waiting import Polls, completed, deployed
from binder_protocol import operations
from binder_protocol.models import (
    Application,
    ApplicationEvent,
    ApplicationLogLine,
    ApplicationStatus,
    Build,
    BuildRequest,
    BuildStatus,
    Capacity,
    Credential,
    CredentialKind,
    CredentialRequest,
    ExtendRequest,
    Health,
    LaunchRequest,
    Limits,
    Lock,
    LogLine,
    Plan,
    PlanRequest,
    Preload,
    RollbackRequest,
    Sbom,
    Template,
    TemplateSpec,
)

_LONGEST_BUILD_POLL, _LONGEST_LAUNCH_POLL = 2.0, 0.25


class BuildSection:
    """`client.build`: from a repository to an image."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(
        self,
        repository: str,
        *,
        ref: str | None = None,
        subdir: str | None = None,
        force: bool = False,
        credential: str | None = None,
        submodules: bool = False,
        as_of: date | None = None,
        secrets: Sequence[str] = (),
        sbom: bool = False,
    ) -> Build:
        """Start a build, join the same one that is under way, or get the finished one of this very commit.

        With `as_of` no package is installed that was published after that day.
        """
        body = request_model(
            BuildRequest,
            repository=repository,
            ref=ref,
            subdir=subdir,
            force=force,
            credential=credential,
            options={"submodules": submodules, "as_of": as_of, "secrets": list(secrets), "sbom": sbom},
        )
        return self._calls.one(operations.BUILD_START, Build, body=body)

    def status(self, name: str) -> Build:
        return self._calls.one(operations.BUILD_STATUS, Build, name)

    def status_all(
        self,
        *,
        status: BuildStatus | None = None,
        search: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[Build]:
        query = {"status": status, "search": search, "limit": limit, "offset": offset}
        return self._calls.many(operations.BUILD_STATUS_ALL, Build, query=query)

    def history(self, name: str, *, limit: int | None = None, offset: int | None = None) -> Page[Build]:
        """Every attempt, newest first."""
        return self._calls.many(operations.BUILD_HISTORY, Build, name, query={"limit": limit, "offset": offset})

    def logs(self, name: str, *, follow: bool = False, attempt: int | None = None) -> Iterator[LogLine]:
        """The log of the newest or the named attempt; with `follow`, as it grows, to its `end`.

        A lost connection is taken up again behind the last line.
        """
        query = {"attempt": attempt}
        return self._calls.records(operations.BUILD_LOGS, LogLine, name, follow_up=follow, query=query)

    def cancel(self, name: str) -> Build:
        return self._calls.one(operations.BUILD_CANCEL, Build, name)

    def plan(
        self,
        repository: str,
        *,
        ref: str | None = None,
        subdir: str | None = None,
        credential: str | None = None,
        as_of: date | None = None,
    ) -> Plan:
        """What a build would do; `as_of`: with no package published after this day."""
        more = {"credential": credential, "options": as_of and {"as_of": as_of}}
        body = request_model(PlanRequest, repository=repository, ref=ref, subdir=subdir, **more)
        return self._calls.one(operations.BUILD_PLAN, Plan, body=body)

    def lock(self, name: str, *, attempt: int | None = None) -> Lock:
        """The versions that the newest or the named attempt installed."""
        return self._calls.one(operations.BUILD_LOCK, Lock, name, query={"attempt": attempt})

    def sbom(self, name: str, *, attempt: int | None = None) -> Sbom:
        """The bill of materials of an attempt that was asked for one."""
        return self._calls.one(operations.BUILD_SBOM, Sbom, name, query={"attempt": attempt})

    def credentials(self, *, limit: int | None = None, offset: int | None = None) -> Page[Credential]:
        return self._calls.many(operations.BUILD_CREDENTIALS, Credential, query={"limit": limit, "offset": offset})

    def credential_put(
        self,
        name: str,
        *,
        kind: CredentialKind,
        secret: str,
        host: str | None = None,
        url: str | None = None,
        user: str | None = None,
    ) -> Credential:
        """Keep a credential under that name; one that is there is changed."""
        body = request_model(CredentialRequest, kind=kind, secret=secret, host=host, url=url, user=user)
        return self._calls.one(operations.BUILD_CREDENTIAL_PUT, Credential, name, body=body)

    def credential_remove(self, name: str) -> Credential:
        return self._calls.one(operations.BUILD_CREDENTIAL_REMOVE, Credential, name)

    def wait(self, name: str, *, timeout: float = 7200) -> Build:
        """The build once it is completed.

        Raises the BuildFailed of its failure, BuildCancelled, or TimedOut after `timeout` seconds.
        """

        def settled(build: Build) -> bool:
            return build.status.ended

        polls = Polls(f"build {name}", timeout, _LONGEST_BUILD_POLL)
        return completed(polls.until(settled, lambda: self.status(name)))


class RegistrySection:
    """`client.registry`: images and how to launch them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def register(self, template: TemplateSpec) -> Template:
        """Register a template, or a new revision of it where it differs from the newest."""
        return self._calls.one(operations.REGISTRY_REGISTER, Template, body=template)

    def fetch(self, name: str, *, revision: int | None = None) -> Template:
        return self._calls.one(operations.REGISTRY_FETCH, Template, name, query={"revision": revision})

    def fetch_all(
        self, *, search: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[Template]:
        query = {"search": search, "limit": limit, "offset": offset}
        return self._calls.many(operations.REGISTRY_FETCH_ALL, Template, query=query)

    def history(self, name: str, *, limit: int | None = None, offset: int | None = None) -> Page[Template]:
        """Every revision, newest first."""
        return self._calls.many(operations.REGISTRY_HISTORY, Template, name, query={"limit": limit, "offset": offset})

    def rollback(self, name: str, *, revision: int | None = None) -> Template:
        """Return to that revision, or to the one before the newest."""
        body = request_model(RollbackRequest, revision=revision)
        return self._calls.one(operations.REGISTRY_ROLLBACK, Template, name, body=body)

    def remove(self, name: str) -> Template:
        return self._calls.one(operations.REGISTRY_REMOVE, Template, name)


class DeploySection:
    """`client.deploy`: running applications. Durations are in ms."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def deploy(
        self,
        template_name: str,
        *,
        revision: int | None = None,
        cull_timeout: int | None = None,
        max_age: int | None = None,
        environment: Mapping[str, str] | None = None,
        resources: Limits | None = None,
    ) -> Application:
        body = request_model(
            LaunchRequest,
            template_name=template_name,
            revision=revision,
            cull_timeout=cull_timeout,
            max_age=max_age,
            environment=environment,
            resources=resources,
        )
        return self._calls.one(operations.DEPLOY_DEPLOY, Application, body=body)

    def status(self, template: str, id: str) -> Application:  # noqa: A002  the protocol's own name
        return self._calls.one(operations.DEPLOY_STATUS, Application, template, id)

    def status_all(
        self,
        template: str,
        *,
        status: ApplicationStatus | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[Application]:
        query = {"status": status, "limit": limit, "offset": offset}
        return self._calls.many(operations.DEPLOY_STATUS_ALL, Application, template, query=query)

    def list(
        self, *, status: ApplicationStatus | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[Application]:
        query = {"status": status, "limit": limit, "offset": offset}
        return self._calls.many(operations.DEPLOY_LIST, Application, query=query)

    def stop(self, template: str, id: str) -> Application:  # noqa: A002
        return self._calls.one(operations.DEPLOY_STOP, Application, template, id)

    def logs(self, template: str, id: str, *, follow: bool = False) -> Iterator[ApplicationLogLine]:  # noqa: A002
        operation = operations.DEPLOY_LOGS
        return self._calls.records(operation, ApplicationLogLine, template, id, follow_up=follow, query={})

    def events(self, template: str, id: str, *, follow: bool = False) -> Iterator[ApplicationEvent]:  # noqa: A002
        operation = operations.DEPLOY_EVENTS
        return self._calls.records(operation, ApplicationEvent, template, id, follow_up=follow, query={})

    def extend(self, template: str, id: str, milliseconds: int) -> Application:  # noqa: A002
        body = request_model(ExtendRequest, milliseconds=milliseconds)
        return self._calls.one(operations.DEPLOY_EXTEND, Application, template, id, body=body)

    def preload(self, template: str) -> Preload:
        return self._calls.one(operations.DEPLOY_PRELOAD, Preload, template)

    def preload_status(self, template: str) -> Preload:
        return self._calls.one(operations.DEPLOY_PRELOAD_STATUS, Preload, template)

    def capacity(self) -> Capacity:
        return self._calls.one(operations.DEPLOY_CAPACITY, Capacity)

    def wait(
        self,
        template: str,
        id: str,  # noqa: A002
        *,
        timeout: float = 600,
        observe: Callable[[Application], None] = lambda _: None,
    ) -> Application:
        """The application once it answers at its location; `observe` is told of what is seen on the way.

        Raises the LaunchFailed of its failure, Conflict where it was stopped, or TimedOut after `timeout` seconds.
        """

        def settled(application: Application) -> bool:
            observe(application)
            return application.status.ended or application.status is ApplicationStatus.DEPLOYED

        polls = Polls(f"application {id}", timeout, _LONGEST_LAUNCH_POLL)
        return deployed(polls.until(settled, lambda: self.status(template, id)))


class HealthSection:
    """`client.health`: results of the end-to-end checks."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def status(self, *, history: int | None = None) -> Page[Health]:
        """The newest result of each check, with up to `history` older ones."""
        return self._calls.many(operations.HEALTH_STATUS, Health, query={"history": history})
