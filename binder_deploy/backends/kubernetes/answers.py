"""What the API server's refusals mean. Pure."""

from __future__ import annotations

import json
from typing import Any

from binder_protocol.errors import BinderError, EngineError, InvalidTemplate, LaunchFailed, QuotaExceeded

NOT_FOUND, CONFLICT = 404, 409
"""Codes of refusals that are no failures where something is there already, or gone."""

_WORDS = 500
_ADMISSION = "admission webhook"
_NO_PRIORITY_CLASS = "no PriorityClass with name"


class Denied(EngineError):
    """The API server's answer is a no. `code` is its HTTP status, `reason` its own word for it."""

    def __init__(self, message: str, code: int, reason: str = "", **values: Any) -> None:
        super().__init__(message, **values)
        self.code = code
        self.reason = reason


def denied(method: str, path: str, code: int, body: bytes, retry_after: str | None) -> Denied:
    """The refusal that the API server described in `body`, as far as it did."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = {}
    told = told if isinstance(told, dict) else {}
    words = str(told.get("message") or "without saying why")[:_WORDS]
    reason = str(told.get("reason") or "")[:100]
    seconds = int(retry_after) if retry_after and retry_after.isdigit() else None
    return Denied(
        f"the API server refused {method} {path} with status {code}: {words}", code, reason,
        suggestions=_what_to_do(code), retry_after=seconds, details={"words": words},
    )  # fmt: skip


def why_not_launched(error: Denied) -> BinderError:
    """The reason of an application whose objects the API server refused; `error` itself where a later try may do."""
    words = str(error.details.get("words", error.message))
    if error.code == 403 and "exceeded quota" in words:
        return QuotaExceeded(f"the quota of the namespace is used up: {words}")
    if _ADMISSION in words and error.code < 500:
        return InvalidTemplate(
            f"the cluster's admission control refused the application: {words}",
            suggestions=("change the template as the words say, or ask the cluster's operator",),
        )
    of_template = "violates PodSecurity" in words or _NO_PRIORITY_CLASS in words
    if error.code in (400, 422) or (error.code == 403 and of_template):
        return InvalidTemplate(f"the cluster can't run the template as it is: {words}")
    if error.code == 403 and "is being terminated" not in words:
        return LaunchFailed(
            f"Binder may not do this in the cluster: {words}",
            suggestions=("operator: give the deploy service's account the verbs that docs/kubernetes.md lists",),
        )
    if error.code == 404:
        return LaunchFailed(
            f"the cluster has no place for the application: {words}",
            suggestions=("operator: make the namespace that deploy.kubernetes.namespace names",),
        )
    return error


def _what_to_do(code: int) -> tuple[str, ...]:
    if code == 401:
        return ("renew the credentials in the kubeconfig or service account",)
    if code == 403:
        return ("operator: give the deploy service's account the verbs that docs/kubernetes.md lists",)
    if code == 429:
        return ("the cluster is busy; try again in a moment",)
    return ("see what the cluster says: kubectl get events",)
