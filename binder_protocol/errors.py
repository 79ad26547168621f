"""What can go wrong, as one tree; raised in a service, raised again by type in the client.

    BinderError                     500 unknownFailure
    ├── RequestError                422 malformedRequest      the request itself is wrong
    │   ├── BadRepoSource           422 badRepoSource         no such kind of repository, or one not allowed
    │   ├── BadRef                  422 bad-ref               a ref that git would not take
    │   ├── InvalidTemplate         422 invalid-template
    │   └── RequestTooLarge         413 request-too-large
    ├── AccessError                 403 unauthorized          no key, or a wrong one
    ├── NotFound                    404 not-found             no such path
    │   ├── NoBuildInfo             404 noBuildInfo
    │   ├── DoesNotExist            404 doesNotExist          no such template, or revision
    │   └── NoRecord                404 noRecord              no such application
    ├── MethodNotAllowed            405 method-not-allowed
    ├── Conflict                    409 conflict
    │   └── AlreadyBuilding         409 alreadyBuilding
    ├── Unavailable                 503 unavailable           try again later
    │   ├── QueueFull               503 queue-full
    │   ├── AtCapacity              503 at-capacity
    │   ├── NoDatabase              503 noDatabase
    │   ├── BadQuery                503 badQuery
    │   ├── BadDatabase             503 badDatabase
    │   ├── RegistryError           502 registryError
    │   └── EngineError             503 engine-error          the Docker engine or the cluster doesn't answer
    ├── BuildFailed                 500 build-failed          why a build ended as `failed`
    │   ├── SourceNotFound          404 source-not-found
    │   ├── RefNotFound             404 ref-not-found
    │   ├── SourceUnreachable       502 source-unreachable
    │   ├── SourceTooLarge          422 source-too-large
    │   ├── InvalidRepository       422 invalid-repository    its build files can't be used
    │   ├── BuildpackFailed         500 buildpack-failed      a buildpack of others is broken
    │   ├── DependencyFailed        422 dependency-failed
    │   ├── BuildStepFailed         422 build-step-failed
    │   ├── OutOfMemory             422 out-of-memory
    │   ├── NoSpace                 507 no-space
    │   ├── BuildTimeout            504 timeout
    │   ├── RegistrationFailed      502 registration-failed
    │   └── Interrupted             503 interrupted           the service stopped in the middle of it
    ├── LaunchFailed                500 launch-failed         why an application ended as `failed`
    │   ├── ImageNotFound           404 image-not-found
    │   ├── ApplicationOutOfMemory  500 out-of-memory
    │   ├── Crashed                 500 crashed
    │   ├── NotListening            504 not-listening
    │   ├── Unschedulable           503 unschedulable         the cluster has no place for it
    │   ├── QuotaExceeded           503 quota-exceeded        the cluster's quota is used up
    │   ├── Evicted                 503 evicted               the cluster took its place back, or lost its node
    │   └── NodeSilent              503 node-silent           its node doesn't answer; it may run on
    └── ClientError                 (no status)               seen by the client alone
        ├── Refused                 refused
        ├── TimedOut                timed-out
        ├── BadResponse             badResponse
        └── BuildCancelled          cancelled

A message says what happened; `suggestions` say what to do next. Names in camelCase are those of 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar


class BinderError(Exception):
    """Any failure that Binder reports. Its message may be shown to whoever asked."""

    type: ClassVar[str] = "unknownFailure"
    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Binder failed."
    default_suggestions: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        message: str = "",
        *,
        suggestions: Sequence[str] | None = None,
        retry_after: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """`retry_after` is in seconds; `details` must be JSON values."""
        self.message = message or self.default_message
        self.suggestions = tuple(self.default_suggestions if suggestions is None else suggestions)
        self.retry_after = retry_after
        self.details = details or {}
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The error as it goes over the wire: `type`, `error`, `suggestions` and, where there are any, `details`."""
        body: dict[str, Any] = {
            "type": self.type,
            "error": self.message,
            "suggestions": list(self.suggestions),
        }
        if self.details:
            body["details"] = self.details
        return body


class RequestError(BinderError):
    type = "malformedRequest"
    status = 422
    default_message = "The request is malformed."
    default_suggestions = ("correct the named field and send the request again",)


class BadRepoSource(RequestError):
    type = "badRepoSource"
    default_message = "This is not a repository that Binder can build."
    default_suggestions = ("give a git repository as https://host/owner/repo, ssh://git@host/owner/repo or owner/repo",)


class BadRef(RequestError):
    type = "bad-ref"
    default_message = "This is not a name that git would take for a branch, tag or commit."
    default_suggestions = ("name a branch, a tag or a commit of the repository",)


class InvalidTemplate(RequestError):
    type = "invalid-template"
    default_message = "The template can't be launched as it is."


class RequestTooLarge(RequestError):
    type = "request-too-large"
    status = 413
    default_message = "The request is larger than this service reads."
    default_suggestions = ("send less in one request",)


class AccessError(BinderError):
    type = "unauthorized"
    status = 403
    default_message = "The request carries no valid API key."
    default_suggestions = (
        "send the API key in the Authorization header; `binder-control keys show` prints it on the host",
        "on a laptop: binder-client login URL",
    )


class NotFound(BinderError):
    type = "not-found"
    status = 404
    default_message = "There is nothing at this address."


class NoBuildInfo(NotFound):
    type = "noBuildInfo"
    default_message = "There is no build of this name."
    default_suggestions = ("list the builds with `binder-client api build status-all`",)


class DoesNotExist(NotFound):
    type = "doesNotExist"
    default_message = "There is no template of this name."
    default_suggestions = ("list the templates with `binder-client templates`",)


class NoRecord(NotFound):
    type = "noRecord"
    default_message = "There is no application of this id."
    default_suggestions = ("list the applications with `binder-client fetch`",)


class MethodNotAllowed(BinderError):
    type = "method-not-allowed"
    status = 405
    default_message = "This address doesn't take that method."


class Conflict(BinderError):
    type = "conflict"
    status = 409
    default_message = "The request doesn't fit the present state."


class AlreadyBuilding(Conflict):
    type = "alreadyBuilding"
    default_message = "This repository is being built already."
    default_suggestions = ("follow the running build, or cancel it first",)


class Unavailable(BinderError):
    type = "unavailable"
    status = 503
    default_message = "The service can't do this just now."
    default_suggestions = ("try again in a moment",)


class QueueFull(Unavailable):
    type = "queue-full"
    default_message = "Too many builds are waiting."


class AtCapacity(Unavailable):
    type = "at-capacity"
    default_message = "As many applications run as this host takes."
    default_suggestions = ("stop an application that is no longer needed, or try again later",)


class NoDatabase(Unavailable):
    type = "noDatabase"
    default_message = "The database isn't there."


class BadQuery(Unavailable):
    type = "badQuery"
    default_message = "The database didn't answer."


class BadDatabase(Unavailable):
    type = "badDatabase"
    default_message = "The database didn't take the change."


class RegistryError(Unavailable):
    type = "registryError"
    status = 502
    default_message = "The registry didn't give the template."
    default_suggestions = ("see that the registry runs: binder-control status",)


class EngineError(Unavailable):
    type = "engine-error"
    default_message = "The engine doesn't answer."
    default_suggestions = ("on the host: binder-control doctor",)


class BuildFailed(BinderError):
    type = "build-failed"
    default_message = "The build failed."


class SourceNotFound(BuildFailed):
    type = "source-not-found"
    status = 404
    default_message = "The repository doesn't exist, or may not be read without a credential."
    default_suggestions = ("check the address; a private repository needs a credential",)


class RefNotFound(BuildFailed):
    type = "ref-not-found"
    status = 404
    default_message = "The repository has no such branch, tag or commit."
    default_suggestions = ("name a branch, a tag or a full commit id of the repository",)


class SourceUnreachable(BuildFailed):
    type = "source-unreachable"
    status = 502
    default_message = "The repository's server didn't answer."
    default_suggestions = ("try again when the server answers",)


class SourceTooLarge(BuildFailed):
    type = "source-too-large"
    status = 422
    default_message = "The repository is larger than this service takes."
    default_suggestions = ("keep large data out of the repository and fetch it in postBuild",)


class InvalidRepository(BuildFailed):
    type = "invalid-repository"
    status = 422
    default_message = "The repository's build files can't be used."


class BuildpackFailed(BuildFailed):
    type = "buildpack-failed"
    status = 500
    default_message = "A buildpack that is installed on this service is broken."
    default_suggestions = ("operator: update or uninstall the distribution that brings the buildpack",)


class DependencyFailed(BuildFailed):
    type = "dependency-failed"
    status = 422
    default_message = "The dependencies could not be installed."
    default_suggestions = (
        "see the last lines of the log for the package that failed, and correct its name or version",
    )


class BuildStepFailed(BuildFailed):
    type = "build-step-failed"
    status = 422
    default_message = "A step of the build failed."


class OutOfMemory(BuildFailed):
    type = "out-of-memory"
    status = 422
    default_message = "The build took more memory than it may."
    default_suggestions = (
        "install fewer or smaller packages in one step",
        "ask the operator for a higher memory limit",
    )


class NoSpace(BuildFailed):
    type = "no-space"
    status = 507
    default_message = "The disk is full."
    default_suggestions = ("on the host: free disk space, then build again",)


class BuildTimeout(BuildFailed):
    type = "timeout"
    status = 504
    default_message = "A phase of the build took longer than it may."
    default_suggestions = ("make the step quicker", "ask the operator for a longer time limit")


class RegistrationFailed(BuildFailed):
    type = "registration-failed"
    status = 502
    default_message = "The image is built, but its template could not be registered."
    default_suggestions = ("see that the registry runs, then build again: the image is kept and the build is quick",)


class Interrupted(BuildFailed):
    type = "interrupted"
    status = 503
    default_message = "The service was stopped in the middle of it."
    default_suggestions = ("start it again",)


class LaunchFailed(BinderError):
    type = "launch-failed"
    default_message = "The application could not be launched."


class ImageNotFound(LaunchFailed):
    type = "image-not-found"
    status = 404
    default_message = "The template's image is not on this host and can't be pulled."
    default_suggestions = ("build the repository again",)


class ApplicationOutOfMemory(LaunchFailed):
    type = "out-of-memory"
    default_message = "The application took more memory than it may."
    default_suggestions = ("raise limits.memory of the template, or ask for less",)


class Crashed(LaunchFailed):
    type = "crashed"
    default_message = "The application ended by itself."
    default_suggestions = ("see its last lines: binder-client logs --application TEMPLATE/ID",)


class NotListening(LaunchFailed):
    type = "not-listening"
    status = 504
    default_message = "The application didn't answer over HTTP in time."
    default_suggestions = ("let the application listen on 0.0.0.0 and the template's port",)


class Unschedulable(LaunchFailed):
    type = "unschedulable"
    status = 503
    default_message = "The cluster has no place for the application."
    default_suggestions = (
        "ask for less memory, CPU or fewer devices",
        "try again later, or ask the operator for more nodes",
    )


class QuotaExceeded(LaunchFailed):
    type = "quota-exceeded"
    status = 503
    default_message = "The quota of the cluster's namespace is used up."
    default_suggestions = (
        "stop an application that is no longer needed, or try again later",
        "operator: raise the ResourceQuota of the namespace",
    )


class Evicted(LaunchFailed):
    type = "evicted"
    status = 503
    default_message = "The cluster took the application's place back."
    default_suggestions = ("launch it again",)


class NodeSilent(LaunchFailed):
    """Of an application that is deployed: it may come back, or be evicted."""

    type = "node-silent"
    status = 503
    default_message = "The application's node doesn't answer."
    default_suggestions = (
        "wait until its node is back, or launch it again",
        "operator: kubectl describe node",
    )


class ClientError(BinderError):
    type = "client-error"
    default_message = "The client could not complete the request."


class Refused(ClientError):
    type = "refused"
    default_message = "The server can't be reached."
    default_suggestions = ("see that the server runs and that the address is right: binder-client login URL",)


class TimedOut(ClientError):
    type = "timed-out"
    default_message = "The server took too long to answer."
    default_suggestions = ("try again in a moment",)


class BadResponse(ClientError):
    type = "badResponse"
    default_message = "The server's answer can't be understood."
    default_suggestions = ("see that the address is that of a Binder server",)


class BuildCancelled(ClientError):
    type = "cancelled"
    default_message = "The build was cancelled."


def error_classes(root: type[BinderError] = BinderError) -> Iterator[type[BinderError]]:
    """Every class of the tree, `root` first. What others derive for themselves doesn't go over the wire as such."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == __name__:
            yield from error_classes(child)


def error_from(body: object, status: int, *, among: type[BinderError] = BinderError) -> BinderError:
    """The error that a response body describes; a plain `BinderError` where its type is unknown.

    One type may have two classes (`out-of-memory` of a build and of an application): the one in `among`
    whose status is `status` wins, then the first of that type.
    """
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return BadResponse(f"the server answered {status} without saying why")
    found = [cls for cls in error_classes(among) if cls.type == body["type"]]
    found.sort(key=lambda cls: cls.status != status)
    cls = found[0] if found else BinderError
    suggestions = body.get("suggestions")
    details = body.get("details")
    return cls(
        str(body.get("error", "")),
        suggestions=[str(each) for each in suggestions] if isinstance(suggestions, list) else None,
        details=details if isinstance(details, dict) else None,
    )
