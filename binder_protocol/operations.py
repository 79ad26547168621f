"""The whole API on one screen: routers, client methods, raw commands, docs and a contract test come from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from binder_protocol import errors as e
from binder_protocol.models import (
    Application,
    ApplicationEvent,
    ApplicationLogLine,
    Build,
    BuildRequest,
    Capacity,
    Credential,
    CredentialRequest,
    ExtendRequest,
    Health,
    LaunchRequest,
    Lock,
    LogLine,
    Plan,
    PlanRequest,
    Preload,
    RequestModel,
    RollbackRequest,
    Sbom,
    Template,
    TemplateSpec,
    WireModel,
)

Method = Literal["GET", "POST", "PUT", "DELETE"]


class Auth(StrEnum):
    """Who may call an operation: anybody, who holds the key, or (by the setting `public-launch`) anybody."""

    OPEN = "open"
    KEY = "key"
    LAUNCH = "launch"


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `many`: the answer is a JSON array of `response`, paged by `limit` and `offset`, with its length in X-Total-Count.
    `stream`: with `follow` the answer is a stream of server-sent events, each holding one `response`.
    `also`: another method that does the same. `query`: names of the query's parameters.
    """

    section: str
    name: str
    method: Method
    path: str
    summary: str
    response: type[WireModel]
    request: type[RequestModel] | None = None
    auth: Auth = Auth.KEY
    errors: tuple[type[e.BinderError], ...] = ()
    status: int = 200
    query: tuple[str, ...] = ()
    many: bool = False
    stream: bool = False
    also: Method | None = None

    @property
    def method_name(self) -> str:
        """The name of the handler and of the client's method."""
        return self.name.replace("-", "_")

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in the path, in their order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


_PAGE = ("limit", "offset")
_FOLLOW = ("follow", "format")
_OPEN, _LAUNCH = Auth.OPEN, Auth.LAUNCH
_CREDENTIAL = "/credentials/{name}"
_BUILD, _REGISTRY, _DEPLOY = "/builds/{name}", "/templates/{name}", "/applications/{template}/{id}"

# fmt: off
BUILD_START = Operation("build", "start", "POST", "/builds", "Build an image from a repository", Build, BuildRequest, errors=(e.BadRepoSource, e.BadRef, e.SourceNotFound, e.RefNotFound, e.SourceUnreachable, e.AlreadyBuilding, e.QueueFull, e.NoDatabase, e.BadQuery), status=202)
BUILD_STATUS = Operation("build", "status", "GET", _BUILD, "Get the status of a build", Build, auth=_OPEN, errors=(e.NoBuildInfo, e.BadQuery))
BUILD_STATUS_ALL = Operation("build", "status-all", "GET", "/builds", "Get the status of all builds", Build, errors=(e.BadQuery,), query=("status", "search", *_PAGE), many=True)
BUILD_HISTORY = Operation("build", "history", "GET", f"{_BUILD}/history", "List every attempt at a build, newest first", Build, errors=(e.NoBuildInfo, e.BadQuery), query=_PAGE, many=True)
BUILD_LOGS = Operation("build", "logs", "GET", f"{_BUILD}/logs", "Read or follow a build's log", LogLine, errors=(e.NoBuildInfo, e.BadQuery), query=("attempt", *_FOLLOW), stream=True)
BUILD_CANCEL = Operation("build", "cancel", "DELETE", _BUILD, "Cancel a build", Build, errors=(e.NoBuildInfo, e.BadQuery))
BUILD_PLAN = Operation("build", "plan", "POST", "/plans", "Say what would be built, without building", Plan, PlanRequest, errors=(e.BadRepoSource, e.BadRef, e.SourceNotFound, e.RefNotFound, e.SourceUnreachable, e.SourceTooLarge, e.InvalidRepository, e.BuildTimeout))
BUILD_LOCK = Operation("build", "lock", "GET", f"{_BUILD}/lock", "List the versions that a build installed", Lock, errors=(e.NoBuildInfo, e.BadQuery), query=("attempt", "format"))
BUILD_SBOM = Operation("build", "sbom", "GET", f"{_BUILD}/sbom", "Get the bill of materials of a build that was asked for one", Sbom, errors=(e.NoBuildInfo, e.BadQuery), query=("attempt",))
BUILD_CREDENTIALS = Operation("build", "credentials", "GET", "/credentials", "List the kept credentials, without their secrets", Credential, errors=(e.BadQuery,), query=_PAGE, many=True)
BUILD_CREDENTIAL_PUT = Operation("build", "credential-put", "PUT", _CREDENTIAL, "Keep a credential, or change it", Credential, CredentialRequest, errors=(e.Conflict, e.BadDatabase))
BUILD_CREDENTIAL_REMOVE = Operation("build", "credential-remove", "DELETE", _CREDENTIAL, "Remove a credential", Credential, errors=(e.DoesNotExist, e.BadDatabase))

REGISTRY_REGISTER = Operation("registry", "register", "PUT", "/templates", "Register a template, or a new revision of one", Template, TemplateSpec, errors=(e.InvalidTemplate, e.BadDatabase), also="POST")
REGISTRY_FETCH = Operation("registry", "fetch", "GET", _REGISTRY, "Get a template", Template, errors=(e.DoesNotExist, e.BadDatabase), query=("revision",))
REGISTRY_FETCH_ALL = Operation("registry", "fetch-all", "GET", "/templates", "List the templates", Template, errors=(e.BadDatabase,), query=("search", *_PAGE), many=True)
REGISTRY_HISTORY = Operation("registry", "history", "GET", f"{_REGISTRY}/revisions", "List a template's revisions, newest first", Template, errors=(e.DoesNotExist, e.BadDatabase), query=_PAGE, many=True)
REGISTRY_ROLLBACK = Operation("registry", "rollback", "POST", f"{_REGISTRY}/rollback", "Return to an earlier revision", Template, RollbackRequest, errors=(e.DoesNotExist, e.Conflict, e.BadDatabase))
REGISTRY_REMOVE = Operation("registry", "remove", "DELETE", _REGISTRY, "Remove a template with its history", Template, errors=(e.DoesNotExist, e.BadDatabase))

DEPLOY_DEPLOY = Operation("deploy", "deploy", "POST", "/applications", "Launch an application from a template", Application, LaunchRequest, auth=_LAUNCH, errors=(e.RegistryError, e.DoesNotExist, e.AtCapacity, e.EngineError, e.BadDatabase))
DEPLOY_STATUS = Operation("deploy", "status", "GET", _DEPLOY, "Get the status of an application", Application, auth=_OPEN, errors=(e.NoRecord, e.BadDatabase))
DEPLOY_STATUS_ALL = Operation("deploy", "status-all", "GET", "/applications/{template}", "List a template's applications", Application, errors=(e.BadDatabase,), query=("status", *_PAGE), many=True)
DEPLOY_LIST = Operation("deploy", "list", "GET", "/applications", "List all applications", Application, errors=(e.BadDatabase,), query=("status", *_PAGE), many=True)
DEPLOY_STOP = Operation("deploy", "stop", "DELETE", _DEPLOY, "Stop an application", Application, errors=(e.NoRecord, e.EngineError, e.BadDatabase))
DEPLOY_LOGS = Operation("deploy", "logs", "GET", f"{_DEPLOY}/logs", "Read or follow what an application prints", ApplicationLogLine, errors=(e.NoRecord, e.EngineError), query=_FOLLOW, stream=True)
DEPLOY_EVENTS = Operation("deploy", "events", "GET", f"{_DEPLOY}/events", "Read or follow an application's states", ApplicationEvent, errors=(e.NoRecord, e.BadDatabase), query=_FOLLOW, stream=True)
DEPLOY_EXTEND = Operation("deploy", "extend", "POST", f"{_DEPLOY}/extend", "Keep an idle application longer", Application, ExtendRequest, errors=(e.NoRecord, e.Conflict, e.BadDatabase))
DEPLOY_PRELOAD = Operation("deploy", "preload", "POST", "/preload/{template}", "Bring a template's image to this host", Preload, errors=(e.RegistryError, e.DoesNotExist, e.EngineError, e.BadDatabase))
DEPLOY_PRELOAD_STATUS = Operation("deploy", "preload-status", "GET", "/preload/{template}", "Say whether a template's image is on this host", Preload, errors=(e.DoesNotExist, e.BadDatabase))
DEPLOY_CAPACITY = Operation("deploy", "capacity", "GET", "/capacity", "Say how many applications run, and how many may", Capacity, errors=(e.EngineError, e.BadDatabase))

HEALTH_STATUS = Operation("health", "status", "GET", "/health", "Get the results of the end-to-end checks", Health, errors=(e.BadQuery,), query=("history",), many=True)
# fmt: on

OPERATIONS: tuple[Operation, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Operation))
"""All operations, in the order of the table."""

COMMON_ERRORS = (e.RequestError, e.RequestTooLarge, e.AccessError, e.Unavailable)
"""What any operation may answer."""


def operation(section: str, name: str) -> Operation:
    """The operation of that name; raises KeyError."""
    for each in OPERATIONS:
        if (each.section, each.name) == (section, name):
            return each
    raise KeyError(f"{section}.{name}")
