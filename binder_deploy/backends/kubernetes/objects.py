"""An application as a value: what a launch comes to in the words of the Kubernetes API. Pure.

Three objects of one name: the pod, and a service and a route that the pod owns, so that deleting the pod leaves
nothing. What is sent is what stands here, but for the pod's uid: `owned` puts that into the other two.

The token stands in the pod's environment as it is. A Secret would be a fourth object, of four requests instead of three
for each launch; the kubelet would have to find it before it starts the container, so it could not be owned by the pod
that waits for it; and the token would stay readable to whoever may read Secrets or enter the pod. So who may read
pods in these namespaces may open applications, and docs/kubernetes.md says so to those who grant that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.launches import Launch
from binder_deploy.startup import (
    APP,
    APPLICATION,
    JUPYTER,
    OTHER,
    TEMPLATE,
    USER,
    Image,
    environment,
    filled,
    runs_jupyter,
)

MANAGED_BY, INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
CONTAINER = "application"
PORT_NAME = "http"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Objects:
    """Each as the API takes it. `route` is an Ingress or an HTTPRoute: see its `kind`."""

    pod: Manifest
    service: Manifest
    route: Manifest


def name(identity: str) -> str:
    """The name of an application's pod, service and route, and of its namespace where it has one of its own."""
    return f"binder-{identity}".lower()


def namespace(identity: str, site: Site) -> str:
    """Where an application's objects are."""
    return name(identity) if site.own_namespaces else site.namespace


def selector(site: Site) -> str:
    """The label selector of everything that is this suite's."""
    return f"{MANAGED_BY}=binder,{INSTANCE}={site.suite}"


def objects(launch: Launch, site: Site, image: Image | None = None) -> Objects:
    """What is to be created. Without knowledge of the `image` the template's word on it is taken."""
    image = image or assumed(launch)
    return Objects(pod(launch, site, image), service(launch, site), ingress(launch, site))


def owned(manifest: Manifest, pod_uid: str) -> Manifest:
    """The same object, owned by the application's pod: it goes when the pod goes."""
    metadata = manifest["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": pod_uid}
    return {**manifest, "metadata": {**metadata, "ownerReferences": [owner]}}


def assumed(launch: Launch) -> Image:
    """What the template says of an image that nobody has looked at: the login that builds note is Jupyter's."""
    if not launch.login:
        return Image(launch.image)
    return Image(launch.image, labels=((APP, JUPYTER),), command=("jupyter-lab",))


def pod(launch: Launch, site: Site, image: Image) -> Manifest:
    """The pod, as the restricted pod security standard wants it."""
    container: Manifest = {
        "name": CONTAINER,
        "image": launch.image,
        "env": [{"name": key, "value": _literal(value)} for key, value in environment(launch, image).items()],
        "ports": [{"name": PORT_NAME, "containerPort": launch.port}],
        "resources": {
            "limits": {"cpu": f"{launch.cpu}m", "memory": str(launch.memory)},
            "requests": {"cpu": f"{launch.cpu // 10}m", "memory": str(launch.memory)},
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if launch.command is not None:
        container["args"] = [_literal(filled(argument, launch)) for argument in launch.command]
    metadata = _metadata(launch, site)
    metadata["labels"][APP] = JUPYTER if runs_jupyter(launch, image) else OTHER
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": site.stop_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(launch: Launch, site: Site) -> Manifest:
    """The service in front of the pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(launch, site),
        "spec": {
            "selector": {APPLICATION: launch.id},
            "ports": [{"name": PORT_NAME, "port": 80, "targetPort": launch.port}],
            "publishNotReadyAddresses": True,
        },
    }


def ingress(launch: Launch, site: Site) -> Manifest:
    """The route, as an Ingress."""
    backend = {"service": {"name": name(launch.id), "port": {"number": 80}}}
    path = {"path": launch.base_path, "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _metadata(launch, site),
        "spec": {"rules": [{"http": {"paths": [path]}}]},
    }


def _metadata(launch: Launch, site: Site) -> Manifest:
    labels = {
        **launch.labels,
        MANAGED_BY: "binder",
        INSTANCE: site.suite,
        APPLICATION: launch.id,
        TEMPLATE: launch.template,
    }
    return {"name": name(launch.id), "namespace": namespace(launch.id, site), "labels": labels}


def _literal(text: str) -> str:
    """`text` as the kubelet gives it on unchanged: it would replace `$(NAME)` by the variable of that name."""
    return text.replace("$", "$$")
