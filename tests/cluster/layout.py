"""Where the cluster keeps what, and at which addresses it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Two clusters on one machine need other folders, another `cgroup`, and network namespaces of their own."""

    state: Path = Path("/var/lib/kube-one")
    run: Path = Path("/run/kube-containerd")
    cgroup: str = "/"

    node: str = "node1"
    address: str = "10.97.0.1"
    device: str = "kube-node"
    pods: str = "10.244.0.0/16"
    pods_here: str = "10.244.0.0/24"
    pods_device: str = "kube-pods"
    services: str = "10.96.0.0/16"
    first_service: str = "10.96.0.1"
    api_port: int = 6443
    etcd_port: int = 12379
    etcd_peer_port: int = 12380
    registry_port: int = 5001

    @property
    def api(self) -> str:
        """The API server's URL on this machine."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def registries(self) -> dict[str, str]:
        """Addresses of the image registry by name: the first for the machine itself, the second for pods, too."""
        return {"registry": f"127.0.0.1:{self.registry_port}", "registry-pods": f"{self.address}:{self.registry_port}"}

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def conf(self) -> Path:
        return self.state / "conf"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def pid(self) -> Path:
        return self.state / "pid"

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "admin.kubeconfig"

    @property
    def objects(self) -> list[Path]:
        """What a cluster with nothing in it begins without; images stay."""
        return [self.state / name for name in ("etcd", "kubelet", "pod-logs", "cni", "pki", "conf", "log")]
