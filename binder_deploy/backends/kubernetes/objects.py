"""An application as a value: what a launch comes to in the words of the Kubernetes API. Pure.

Three objects of one name: the pod, and a service and a route that the pod owns, so that whoever deletes the pod leaves
nothing. What is sent is what stands here, but for the pod's uid: `owned` puts that into the other two.

The token stands in the pod's environment as it is. A Secret would be a fourth object, of four requests instead of three
for each launch; the kubelet would have to find it before it starts the container, so it could not be owned by the pod
that waits for it; and the token would stay readable to whoever may read Secrets or enter the pod. So who may read
pods in these namespaces may open applications, and docs/kubernetes.md says so to those who grant that.

Readiness is a connection, not an answer over HTTP: the kubelet takes 404 or 401 for a failure, where on Docker
(binder_deploy/probe.py) all but 5xx is an answer; and it would ask, and the application log it, for as long as that
runs. The service publishes the pod's address before it is ready, so that the route is there when readiness is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from binder_deploy.backends.kubernetes import policies
from binder_deploy.backends.kubernetes.entrances import PORT, Manifest, route
from binder_deploy.backends.kubernetes.paths import item
from binder_deploy.backends.kubernetes.placing import placed
from binder_deploy.backends.kubernetes.pod_patch import patched
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.launches import Launch
from binder_deploy.startup import USER, Image, environment, filled, runs_jupyter
from binder_protocol.errors import InvalidTemplate
from binder_protocol.labels import APP, APPLICATION, JUPYTER, OTHER, TEMPLATE

MANAGED_BY, INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
CONTAINER = "application"
"""The name of the one container of a pod that is the application."""

PORT_NAME = "http"
_MOST_BYTES = 1_000_000
"""Kubernetes' store takes objects of 1.5 MiB."""


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


def suite_labels(site: Site) -> dict[str, str]:
    """What everything that is this suite's has."""
    return {MANAGED_BY: "binder", INSTANCE: site.suite}


def selector(site: Site) -> str:
    """The label selector of everything that is this suite's."""
    return ",".join(f"{key}={value}" for key, value in suite_labels(site).items())


def objects(launch: Launch, site: Site, image: Image | None = None) -> Objects:
    """What is to be created. Without knowledge of the `image` the template's word on it is taken.

    Raises InvalidTemplate where the application would stand open, or is too large.
    """
    image = image or assumed(launch)
    metadata = _metadata(launch, site)
    return Objects(
        pod=pod(launch, site, image),
        service=_service(launch, metadata),
        route=route(launch, site, metadata, own_login=launch.login or runs_jupyter(launch, image)),
    )


def surroundings(site: Site, identity: str | None = None, nodes: Iterable[str] = ()) -> tuple[Manifest, ...]:
    """What stands beside applications: of the application's own namespace, which is among it, or of the common one.

    `nodes` are the addresses of the cluster's nodes, which applications must not reach.
    """
    labels = suite_labels(site)
    own = site.own_namespaces and identity is not None
    where = name(identity) if own and identity is not None else site.namespace
    marked = {**labels, APPLICATION: identity} if own and identity is not None else labels
    made = policies.namespace(where, marked, restricted=site.pod_security == "restricted")
    policy = policies.network_policy(where, labels, site, nodes)
    return (*((made,) if own else ()), *((policy,) if site.network_policy else ()))


def owned(manifest: Manifest, pod_uid: str) -> Manifest:
    """The same object, owned by the application's pod: it goes when the pod goes."""
    metadata = manifest["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": pod_uid}
    return {**manifest, "metadata": {**metadata, "ownerReferences": [owner]}}


def owned_paths(identity: str, site: Site) -> tuple[str, str]:
    """Where the application's route and service are."""
    gateway = site.entrance.gateway is not None
    route = ("gateway.networking.k8s.io/v1", "HTTPRoute") if gateway else ("networking.k8s.io/v1", "Ingress")
    where = namespace(identity, site)
    return item(*route, where, name(identity)), item("v1", "Service", where, name(identity))


def assumed(launch: Launch) -> Image:
    """What the template says of an image that nobody has looked at: the login that builds note is Jupyter's."""
    if not launch.login:
        return Image(launch.image)
    return Image(launch.image, labels=((APP, JUPYTER),), command=("jupyter-lab",))


def pod(launch: Launch, site: Site, image: Image | None = None) -> Manifest:
    """The pod: as the restricted pod security standard wants it, then with the operator's patch."""
    image = image or assumed(launch)
    metadata = _metadata(launch, site)
    kind = {APP: JUPYTER if runs_jupyter(launch, image) else OTHER}
    spec: Manifest = {
        "restartPolicy": "Never",  # what crashed is told, not started over and over
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": site.stop_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(launch, site, image)],
    }
    spec |= placed(launch.placement, site)
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "labels": {**metadata["labels"], **kind}},
        "spec": spec,
    }
    return patched(manifest, site.pod_patch)


def _metadata(launch: Launch, site: Site) -> Manifest:
    labels = {**launch.labels, **suite_labels(site), APPLICATION: launch.id, TEMPLATE: launch.template}
    return {"name": name(launch.id), "namespace": namespace(launch.id, site), "labels": labels}


def _container(launch: Launch, site: Site, image: Image) -> Manifest:
    container: Manifest = {
        "name": CONTAINER,
        "image": launch.image,
        "imagePullPolicy": site.pull_policy,
        "env": [{"name": key, "value": _literal(value)} for key, value in environment(launch, image).items()],
        "ports": [{"name": PORT_NAME, "containerPort": launch.port}],
        "resources": _resources(launch, site),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if launch.command is not None:
        container["args"] = [_literal(filled(argument, launch)) for argument in launch.command]
    _fits([*(each["value"] for each in container["env"]), *container.get("args", ())])
    if site.probe_seconds:
        container["readinessProbe"] = {"tcpSocket": {"port": PORT_NAME}, "periodSeconds": site.probe_seconds}
    return container


def _fits(texts: Iterable[str]) -> None:
    """Raises InvalidTemplate where the cluster would not keep so much: it says so in ways that look like a failure."""
    size = sum(len(each.encode()) for each in texts)
    if size > _MOST_BYTES:
        raise InvalidTemplate(
            f"environment and command are {size} bytes together; a cluster takes {_MOST_BYTES} at most",
            suggestions=("put what is large into the repository, or fetch it when the application starts",),
        )


def _resources(launch: Launch, site: Site) -> Manifest:
    limits = {"cpu": f"{launch.cpu}m", "memory": str(launch.memory)}
    requests = {
        "cpu": f"{max(1, round(launch.cpu * site.shares.cpu))}m",
        "memory": str(max(1, round(launch.memory * site.shares.memory))),
    }
    disk = launch.disk or site.ephemeral_storage
    if disk is not None:
        limits["ephemeral-storage"] = str(disk)
        requests["ephemeral-storage"] = str(round(disk * site.shares.ephemeral_storage))
    extended = {resource: str(count) for resource, count in launch.extended.items()}
    return {"limits": limits | extended, "requests": requests | extended}


def _service(launch: Launch, metadata: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "selector": {APPLICATION: launch.id},
            "ports": [{"name": PORT_NAME, "port": PORT, "targetPort": PORT_NAME}],
            "publishNotReadyAddresses": True,
        },
    }


def _literal(text: str) -> str:
    """`text` as the kubelet gives it on unchanged: it would replace `$(NAME)` by the variable of that name."""
    return text.replace("$", "$$")
