"""Where the API server has its objects. Pure."""

from __future__ import annotations

from urllib.parse import quote

_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


def collection(api_version: str, kind: str, namespace: str | None = None) -> str:
    """The path of all objects of a kind, in one namespace or in the whole cluster."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{where}/{_PLURALS.get(kind, kind.lower() + 's')}"


def item(api_version: str, kind: str, namespace: str | None, name: str) -> str:
    """The path of one object."""
    return f"{collection(api_version, kind, namespace)}/{quote(name, safe='')}"
