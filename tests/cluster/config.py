"""Configuration files of the components, as values: what is in them, by where they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster import pki
from tests.cluster.layout import Layout

PAUSE_IMAGE = "localhost/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")


def files(layout: Layout) -> dict[Path, str]:
    """Every file; none of them is secret."""
    conf = layout.conf
    return {
        conf / "containerd.toml": _containerd(layout),
        conf / "kubelet.yaml": json.dumps(_kubelet(layout), indent=1),
        conf / "proxy.yaml": json.dumps(_proxy(layout), indent=1),
        conf / "Corefile": _corefile(layout),
        layout.state / "cni/net.d/10-kube.conflist": json.dumps(_network(layout), indent=1),
        **{conf / f"{name}.json": json.dumps(_registry(layout, each)) for name, each in layout.registries.items()},
        **{layout.state / "certs.d" / each / "hosts.toml": _plain(each) for each in layout.registries.values()},
    }


def kubeconfig(server: str, authority: bytes, user: Mapping[str, bytes | str]) -> str:
    """A client's way in. `user` has PEM texts by their name in the file, or a `token`."""
    who: dict[str, Any] = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in user.items()
    }
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": "kube-one", "user": "client"}
    made = {
        "apiVersion": "v1", "kind": "Config", "current-context": "kube-one",
        "clusters": [{"name": "kube-one", "cluster": cluster}],
        "users": [{"name": "client", "user": who}],
        "contexts": [{"name": "kube-one", "context": context}],
    }  # fmt: skip
    return json.dumps(made, indent=1)


def client_kubeconfig(layout: Layout, name: str) -> str:
    """The kubeconfig of a component, or the administrator's."""
    pem = {
        "client-certificate-data": (layout.pki / f"{name}.crt").read_bytes(),
        "client-key-data": (layout.pki / f"{name}.key").read_bytes(),
    }
    return kubeconfig(layout.api, (layout.pki / "ca.crt").read_bytes(), pem)


def kubeconfigs(layout: Layout) -> dict[Path, str]:
    """All that have keys in them, for their owner's eyes alone."""
    made = {layout.conf / f"{name}.kubeconfig": client_kubeconfig(layout, name) for name in pki.COMPONENTS}
    return {**made, layout.kubeconfig: client_kubeconfig(layout, "admin")}


def _registry(layout: Layout, address: str) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(layout.state / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }


def _plain(registry: str) -> str:
    return f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve", "push"]\n'


def _containerd(layout: Layout) -> str:
    # Without CAP_SYS_RESOURCE no process may raise its oom_score_adj: every sandbox would die of it.
    # `ip netns` by others on this machine shares /run/netns anew, and pods could no more be taken down.
    return f"""version = 2
root = "{layout.state}/containerd"
state = "{layout.run}/state"
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{layout.state}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{layout.run}/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.state}/certs.d"
"""


def _network(layout: Layout) -> dict[str, Any]:
    # `firewall` lets pods through where a Docker engine has set the policy of FORWARD to DROP.
    ranges = [[{"subnet": layout.pods_here}]]
    addresses = {"type": "host-local", "dataDir": str(layout.state / "cni/ipam"), "ranges": ranges}
    bridge = {
        "type": "bridge", "bridge": layout.pods_device, "isGateway": True, "isDefaultGateway": True, "ipMasq": True,
        "hairpinMode": True, "ipam": addresses,
    }  # fmt: skip
    plugins = [
        bridge,
        {"type": "firewall", "backend": "iptables"},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "0.4.0", "name": "kube", "plugins": plugins}


def _kubelet(layout: Layout) -> dict[str, Any]:
    # Nothing is evicted, and no image collected, for the sake of a disk that others fill.
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": layout.address, "port": 10250, "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs", "cgroupRoot": layout.cgroup, "failCgroupV1": False, "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDomain": "cluster.local", "clusterDNS": [layout.address],
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "kubelet/volume-plugins"),
        "makeIPTablesUtilChains": False, "serializeImagePulls": False,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
    }  # fmt: skip


def _proxy(layout: Layout) -> dict[str, Any]:
    # A limit of zero leaves the kernel's table of connections, which is the whole machine's, as it is.
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "iptables", "oomScoreAdj": 0, "hostnameOverride": layout.node, "clusterCIDR": layout.pods,
        "bindAddress": layout.address, "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": ["127.0.0.0/8", f"{layout.address}/32"],
        "clientConnection": {"kubeconfig": str(layout.conf / "proxy.kubeconfig")},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"localhostNodePorts": True, "minSyncPeriod": "100ms"},
    }  # fmt: skip


def _corefile(layout: Layout) -> str:
    return f""".:53 {{
    bind {layout.address}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.conf}/coredns.kubeconfig kube-one
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    forward . /etc/resolv.conf
    cache 5
}}
"""
