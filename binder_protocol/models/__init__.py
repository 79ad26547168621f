"""The models of every operation, by service."""

from binder_protocol.models.base import Failure, RequestModel, WireModel
from binder_protocol.models.build import (
    Build,
    BuildOptions,
    BuildPhase,
    BuildRequest,
    BuildStatus,
    IgnoredFile,
    Lock,
    LogLine,
    PhaseTiming,
    Plan,
    PlanRequest,
    Sbom,
)
from binder_protocol.models.credentials import Credential, CredentialKind, CredentialRequest
from binder_protocol.models.deploy import (
    Application,
    ApplicationEvent,
    ApplicationLogLine,
    ApplicationStatus,
    Capacity,
    ExtendRequest,
    LaunchRequest,
    Preload,
    PreloadStatus,
)
from binder_protocol.models.health import Health, HealthStatus
from binder_protocol.models.placement import Placement, Toleration
from binder_protocol.models.registry import Access, Limits, RollbackRequest, Template, TemplateSpec

__all__ = [
    "Access",
    "Application",
    "ApplicationEvent",
    "ApplicationLogLine",
    "ApplicationStatus",
    "Build",
    "BuildOptions",
    "BuildPhase",
    "BuildRequest",
    "BuildStatus",
    "Capacity",
    "Credential",
    "CredentialKind",
    "CredentialRequest",
    "ExtendRequest",
    "Failure",
    "Health",
    "HealthStatus",
    "IgnoredFile",
    "LaunchRequest",
    "Limits",
    "Lock",
    "LogLine",
    "PhaseTiming",
    "Placement",
    "Plan",
    "PlanRequest",
    "Preload",
    "PreloadStatus",
    "RequestModel",
    "RollbackRequest",
    "Sbom",
    "Template",
    "TemplateSpec",
    "Toleration",
    "WireModel",
]
