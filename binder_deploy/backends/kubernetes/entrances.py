"""An application's route as a value: an Ingress, or an HTTPRoute of the Gateway API. Pure.

A route carries `/user/<id>/` to the application's service. Only Traefik and nginx can ask our guard about a request,
and only they and gateways can strip the path, each in words of its own; where a route can't do what a template needs,
there is no application rather than an open one.
"""

from __future__ import annotations

from typing import Any

from binder_deploy import routes
from binder_deploy.backends.kubernetes.site import Gateway, Site
from binder_deploy.guard import NGINX_GUARD_PATH
from binder_deploy.launches import Launch
from binder_protocol.errors import InvalidTemplate
from binder_protocol.models import Access

PORT = 80
"""Of an application's service."""

_TRAEFIK = "traefik.ingress.kubernetes.io/router"
_NGINX = "nginx.ingress.kubernetes.io"
_PRIORITY = "1000"
_NGINX_SECONDS = "3600"
"""A web socket may be silent for so long; nginx cuts it after a minute by default."""

Manifest = dict[str, Any]


def route(launch: Launch, site: Site, metadata: Manifest, *, own_login: bool) -> Manifest:
    """The route of that name. Raises InvalidTemplate where this entrance can't guard, or strip, what must be."""
    guarded = launch.access is Access.TOKEN and not own_login
    if site.entrance.gateway is not None:
        return _http_route(launch, site, site.entrance.gateway, metadata, guarded=guarded)
    if site.entrance.controller == "traefik":
        return _ingress(launch, site, metadata, _traefik_annotations(launch, site, own_login=own_login))
    if site.entrance.controller == "nginx":
        return _ingress(launch, site, metadata, _nginx_annotations(launch, site, guarded=guarded))
    if guarded:
        raise _unguarded()
    if launch.strip_prefix:
        raise InvalidTemplate(
            "the template wants strip-prefix, which the cluster's ingress controller can't do",
            suggestions=(
                "let the application use {base-path} and leave strip-prefix out",
                'operator: ingress-controller = "traefik" or "nginx", or a gateway, below [deploy.kubernetes]',
            ),
        )
    return _ingress(launch, site, metadata, {})


def middleware(name: str, namespace: str | None) -> str:
    """A middleware of the front door as Traefik names it: that of its file, or a custom resource in `namespace`."""
    return name if namespace is None else f"{namespace}-{_bare(name)}@kubernetescrd"


def _ingress(launch: Launch, site: Site, metadata: Manifest, annotations: dict[str, str]) -> Manifest:
    entrance = site.entrance
    rewritten = launch.strip_prefix and entrance.controller == "nginx"
    path = {
        "path": f"{launch.base_path}(.*)" if rewritten else launch.base_path,
        "pathType": "ImplementationSpecific" if rewritten else "Prefix",
        "backend": {"service": {"name": metadata["name"], "port": {"number": PORT}}},
    }
    rule: Manifest = {"http": {"paths": [path]}}
    spec: Manifest = {"rules": [rule]}
    if entrance.host is not None:
        rule["host"] = entrance.host
    if entrance.tls_secret is not None:
        spec["tls"] = [{"hosts": [entrance.host], "secretName": entrance.tls_secret}]
    if entrance.ingress_class is not None:
        spec["ingressClassName"] = entrance.ingress_class
    said = {**annotations, **entrance.annotations}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {**metadata, "annotations": said} if said else metadata,
        "spec": spec,
    }


def _traefik_annotations(launch: Launch, site: Site, *, own_login: bool) -> dict[str, str]:
    through = routes.middlewares(launch, own_login=own_login)
    namespace = site.entrance.middlewares
    said = {
        f"{_TRAEFIK}.middlewares": ",".join(middleware(each, namespace) for each in through),
        f"{_TRAEFIK}.priority": _PRIORITY,
    }
    # Only of a front door of our own are the entry points known.
    return said if namespace is not None else {**said, f"{_TRAEFIK}.entrypoints": routes.ENTRY_POINT}


def _nginx_annotations(launch: Launch, site: Site, *, guarded: bool) -> dict[str, str]:
    said = {
        f"{_NGINX}/proxy-read-timeout": _NGINX_SECONDS,
        f"{_NGINX}/proxy-send-timeout": _NGINX_SECONDS,
        f"{_NGINX}/proxy-body-size": "0",
    }
    if launch.strip_prefix:
        said |= {f"{_NGINX}/use-regex": "true", f"{_NGINX}/rewrite-target": "/$1"}
    if guarded:
        if site.entrance.guard_url is None:
            raise _unguarded()
        said |= {
            f"{_NGINX}/auth-url": f"{site.entrance.guard_url}{NGINX_GUARD_PATH}/{launch.id}",
            f"{_NGINX}/auth-response-headers": "Authorization,Cookie",
            f"{_NGINX}/auth-always-set-cookie": "true",
        }
    return said


def _http_route(launch: Launch, site: Site, gateway: Gateway, metadata: Manifest, *, guarded: bool) -> Manifest:
    entrance = site.entrance
    traefik = entrance.controller == "traefik" and entrance.middlewares is not None
    if guarded and not traefik:
        raise _unguarded()
    through = [routes.PAGES, *([routes.GUARD] if guarded else [])] if traefik else []
    filters: list[Manifest] = [
        {"type": "ExtensionRef", "extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": _bare(each)}}
        for each in through
    ]
    if launch.strip_prefix:
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        filters.append({"type": "URLRewrite", "urlRewrite": {"path": path}})
    parent = {"name": gateway.name, "namespace": gateway.namespace, "sectionName": gateway.section}
    rule: Manifest = {
        "matches": [{"path": {"type": "PathPrefix", "value": launch.base_path}}],
        "backendRefs": [{"name": metadata["name"], "port": PORT}],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {**metadata, "annotations": dict(entrance.annotations)} if entrance.annotations else metadata,
        "spec": {
            "parentRefs": [{key: value for key, value in parent.items() if value is not None}],
            **({"hostnames": [entrance.host]} if entrance.host is not None else {}),
            "rules": [{**rule, "filters": filters} if filters else rule],
        },
    }


def _bare(name: str) -> str:
    return name.partition("@")[0]


def _unguarded() -> InvalidTemplate:
    return InvalidTemplate(
        "the application has no login of its own, and the cluster's way in can't check its token",
        suggestions=(
            "if the application checks the token itself, say login: true in its template",
            "if everybody may open it, say access: public in its template",
            'operator: ingress-controller = "traefik", or "nginx" with guard-url, below [deploy.kubernetes]',
        ),
    )
