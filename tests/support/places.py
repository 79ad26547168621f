"""Backends and deploy services on the cluster that tests use, in namespaces of their own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from binder_client.client import Client
from binder_control.frontdoor import Ingresses
from binder_deploy.backends.kubernetes.backend import KubernetesBackend
from binder_deploy.backends.kubernetes.cluster import Cluster, Json
from binder_deploy.backends.kubernetes.objects import INSTANCE
from binder_deploy.backends.kubernetes.paths import collection, item
from binder_deploy.backends.kubernetes.permissions import Need
from binder_deploy.backends.kubernetes.site import Site
from binder_deploy.main import build_app, instance_id
from binder_deploy.settings import DeploySettings
from tests.cluster import pki
from tests.support.cluster import Cluster as TestCluster
from tests.support.deploying import IMAGE, KEY, Templates, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door, free_door, front_door
from tests.support.server import running

KINDS = (("v1", "Pod"), ("v1", "Service"), ("networking.k8s.io/v1", "Ingress"), ("apps/v1", "DaemonSet"))


@contextmanager
def kubernetes_backend(kubeconfig: Path, namespace: str, **values: Any) -> Iterator[KubernetesBackend]:
    """A backend as of a suite of its own; what it launched goes with its namespace."""
    site = Site(**{"suite": uuid.uuid4().hex[:16], "namespace": namespace, "stop_seconds": 1, **values})
    backend = KubernetesBackend(Cluster(str(kubeconfig)), site, start_seconds=60)
    try:
        yield backend
    finally:
        backend.close()


@dataclass
class Place:
    """A home and a namespace, in which a deploy service comes and goes. `api` is the administrator's, `image` the base
    image as the nodes know it.
    """

    home: Path
    namespace: str
    api: Cluster
    kubeconfig: Path
    image: str
    templates: Templates = field(default_factory=Templates)
    url: str = ""

    def settings(self, door: Door, **values: Any) -> DeploySettings:
        """Settings that make everything happen quickly; without a front door of ours."""
        given = {"kubeconfig": self.kubeconfig, "namespace": self.namespace, "reached_from": ["10.0.0.0/8"]}
        given |= {"middlewares_namespace": self.namespace, **values.pop("kubernetes", {})}
        return settings_for(self.home, door, **{"backend": "kubernetes", "kubernetes": given, **values})

    @contextmanager
    def service(self, **values: Any) -> Iterator[Client]:
        """A deploy service, as long as it is wanted."""
        app = build_app(self.settings(Door(1, 1), **values), templates=self.templates)
        with running(app) as self.url, Client(self.url, KEY) as client:
            yield client

    @contextmanager
    def service_behind_front_door(self, **values: Any) -> Iterator[Client]:
        """The same, with a front door."""
        door = free_door()
        settings = self.settings(door, kubernetes={"middlewares_namespace": None}, **values)
        ingresses = Ingresses(namespace=self.namespace)
        with (
            _environment(KUBECONFIG=str(self.kubeconfig)),
            running(build_app(settings, templates=self.templates)) as self.url,
            front_door(door, self.home / "front-door", urls={"deploy": self.url}, ingresses=ingresses),
            Client(self.url, KEY) as client,
        ):
            yield client

    def answer(self, identity: str) -> int:
        """The status with which the application answers at its pod's own address."""
        pod = self.api.get(item("v1", "Pod", self.namespace, f"binder-{identity}"))
        connection = http.client.HTTPConnection(pod["status"]["podIP"], 8888, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", f"/user/{identity}/")
            return connection.getresponse().status

    def put_status(self, path: str, status: Json) -> None:
        """As the kubelet would tell it of an object."""
        self.api.apply(f"{path}/status", {**_identity(self.api.get(path)), "status": status}, "test")

    @contextmanager
    def webhook(self, words: str) -> Iterator[None]:
        """An admission webhook refuses all pods of the namespace with these words, as long as it is wanted."""
        path, name = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", self.namespace
        with refusing_webhook(self.home, words) as (url, authority):
            rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            hook = {
                "name": "refuses.binder.test", "clientConfig": {"url": url, "caBundle": authority}, "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 5,
            }  # fmt: skip
            kind = "ValidatingWebhookConfiguration"
            made = {"kind": kind, "metadata": {"name": name}, "webhooks": [hook]}
            self.api.create(path, {"apiVersion": "admissionregistration.k8s.io/v1", **made})
            try:
                yield
            finally:
                self.api.delete(f"{path}/{name}")

    def account(self, needs: Iterable[Need], file: Path) -> Path:
        """A kubeconfig of an account that may do these things in the namespace, and nothing else."""
        name, rbac = f"limited-{uuid.uuid4().hex[:8]}", "rbac.authorization.k8s.io/v1"
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for verb, resource, group in needs]
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        meta = {"metadata": {"name": name}}
        accounts = collection("v1", "ServiceAccount", self.namespace)
        self.api.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", **meta})
        self.api.create(
            collection(rbac, "Role", self.namespace), {"apiVersion": rbac, "kind": "Role", **meta, "rules": rules}
        )
        binding = {"apiVersion": rbac, "kind": "RoleBinding", **meta, "roleRef": role, "subjects": [subject]}
        self.api.create(collection(rbac, "RoleBinding", self.namespace), binding)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.api.create(f"{accounts}/{name}/token", asked)["status"]["token"]
        given = yaml.safe_load(self.kubeconfig.read_text())
        for each in given["users"]:
            each["user"] = {"token": token}
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(given))
        return file

    def there(self, labels: str = "org.binder.application") -> list[Json]:
        """What there is of this suite's applications, wherever in the cluster."""
        mine = {"labelSelector": f"{labels},{INSTANCE}={instance_id(self.home)}"}
        return [each for version, kind in KINDS for each in self.api.list(collection(version, kind), mine)]

    def pods(self) -> list[Json]:
        """The pods of applications."""
        labels = {"labelSelector": "org.binder.application"}
        return self.api.list(collection("v1", "Pod", self.namespace), labels)

    def delete_pod(self, identity: str) -> None:
        """As by `kubectl delete pod --now`."""
        self.api.delete(item("v1", "Pod", self.namespace, f"binder-{identity}"), grace=0)

    def empty(self) -> None:
        """Waits until nothing of applications is left in the whole cluster."""
        eventually(lambda: self.there() == [], within=60, every=0.2, what="a cluster without them")


def _identity(found: Json) -> Json:
    metadata = {key: found["metadata"][key] for key in ("name", "namespace") if key in found["metadata"]}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata}


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        yield


@contextmanager
def refusing_webhook(folder: Path, words: str) -> Iterator[tuple[str, str]]:
    """The URL of a webhook on this machine, and the authority of its certificate."""
    root = pki.authority("webhook-ca")
    pki.issue(root, "webhook", hosts=["127.0.0.1"], days=1).write(folder / "webhook")

    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refusal = {"uid": asked["request"]["uid"], "allowed": False, "status": {"message": words}}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": refusal}
            body = json.dumps(review).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/", base64.b64encode(root.certificate_pem).decode()
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def a_place(cluster: TestCluster, home: Path) -> Iterator[Place]:
    """A place with the template `server`, for restricted pods."""
    api = Cluster(str(cluster.kubeconfig))
    image = cluster.image(IMAGE)
    with cluster.namespace() as name, contextlib.closing(api):
        cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        place = Place(home, name, api, cluster.kubeconfig, image)
        place.templates.add("server", image=image)
        yield place
