"""How each component is started: command lines, as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cluster.layout import Layout

COREDNS_RIGHTS: list[dict[str, Any]] = [
    {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}],
    },
]  # fmt: skip


def commands(layout: Layout, binary: Path) -> dict[str, list[str]]:
    """Every process by name, in the order of starting them."""
    conf, kubeall = layout.conf, str(binary)
    registries = {name: ["docker-registry", "serve", str(conf / f"{name}.json")] for name in layout.registries}
    return {
        "etcd": [kubeall, "etcd", *_etcd(layout)],
        **registries,
        "containerd": ["containerd", "--config", str(conf / "containerd.toml")],
        "apiserver": [kubeall, "apiserver", *_apiserver(layout)],
        "controller-manager": [kubeall, "controller-manager", *_controller_manager(layout)],
        "scheduler": [kubeall, "scheduler", *_client(layout, "scheduler")],
        "kubelet": [kubeall, "kubelet", *_kubelet(layout)],
        "proxy": [kubeall, "proxy", f"--config={conf / 'proxy.yaml'}"],
        "coredns": [kubeall, "coredns", "-conf", str(conf / "Corefile")],
    }


def _etcd(layout: Layout) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.etcd_port, layout.etcd_peer_port))
    return [
        "--name=one", f"--data-dir={layout.state / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}",
    ]  # fmt: skip


def _apiserver(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        f"--etcd-servers=http://127.0.0.1:{layout.etcd_port}",
        f"--advertise-address={layout.address}", f"--secure-port={layout.api_port}",
        f"--service-cluster-ip-range={layout.services}", "--allow-privileged=true", "--profiling=false",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={pki}/ca.crt", f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key", f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
        f"--requestheader-client-ca-file={pki}/front-ca.crt", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-client.crt", f"--proxy-client-key-file={pki}/front-client.key",
    ]  # fmt: skip


def _client(layout: Layout, name: str) -> list[str]:
    kubeconfig = layout.conf / f"{name}.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}", "--secure-port=0", "--leader-elect=false", "--profiling=false",
    ]  # fmt: skip


def _controller_manager(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        *_client(layout, "controller-manager"), "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
        "--node-monitor-period=1s", "--node-monitor-grace-period=60s",
        "--allocate-node-cidrs", f"--cluster-cidr={layout.pods}", f"--service-cluster-ip-range={layout.services}",
    ]  # fmt: skip


def _kubelet(layout: Layout) -> list[str]:
    return [
        f"--config={layout.conf / 'kubelet.yaml'}", f"--kubeconfig={layout.conf / 'kubelet.kubeconfig'}",
        f"--root-dir={layout.state / 'kubelet'}", f"--cert-dir={layout.state / 'kubelet/pki'}",
        f"--hostname-override={layout.node}", f"--node-ip={layout.address}",
    ]  # fmt: skip
