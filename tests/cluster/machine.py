"""What the cluster makes of this machine outside its own folders, and how that is taken away again."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cluster.layout import Layout

_CGROUPS = Path("/sys/fs/cgroup")
_POD_LOGS = Path("/var/log/containers")
# Chains that neither the proxy nor the plugins of CNI take away. Nothing else uses these names.
_CHAINS = ("KUBE-FIREWALL", "CNI-FORWARD", "CNI-ADMIN")
_JUMPS = (
    ("INPUT", "-j", "KUBE-FIREWALL"),
    ("OUTPUT", "-j", "KUBE-FIREWALL"),
    ("FORWARD", "-m", "comment", "--comment", "CNI firewall plugin rules", "-j", "CNI-FORWARD"),
)


def add_network(layout: Layout) -> None:
    """The node's address, on a bridge without ports, since kernels may lack dummy devices."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with suppress(FileNotFoundError):
        Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")
    if _ip("link", "show", layout.device):
        return
    needed: list[tuple[str, ...]] = [
        ("link", "add", layout.device, "type", "bridge"),
        ("addr", "add", layout.address, "dev", layout.device),
        ("link", "set", layout.device, "up"),
    ]
    # Addresses of the cluster that nothing answers for must not leave by the default route.
    networks = (layout.services, layout.pods)
    needed.extend(("route", "add", each, "dev", layout.device, "src", layout.address) for each in networks)
    for words in needed:
        if not _ip(*words):
            raise RuntimeError(f"this machine refuses: ip {' '.join(words)}")


def remove_network(layout: Layout) -> None:
    """Takes devices and chains away; packets' rules of others stay as they are."""
    for jump in _JUMPS:
        _iptables("-D", *jump)
    for chain in _CHAINS:
        _iptables("-F", chain)
        _iptables("-X", chain)
    for device in (layout.pods_device, layout.device):
        _ip("link", "del", device)


def unmount(layout: Layout) -> None:
    """Whatever is still mounted below the cluster's folders, deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    for point in sorted(points, reverse=True):
        if Path(point).is_relative_to(layout.state) or Path(point).is_relative_to(layout.run):
            _run("umount", "--lazy", point)


def remove_traces(layout: Layout) -> None:
    """Empty cgroups of pods, and links to logs that are gone."""
    below = str(Path(layout.cgroup.strip("/")) / "kubepods")
    for pods in [*_CGROUPS.glob(below), *_CGROUPS.glob(f"*/{below}")]:
        for folder, _, _ in os.walk(pods, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    if _POD_LOGS.is_dir():
        for link in _POD_LOGS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.state):
                link.unlink()


def _ip(*words: str) -> bool:
    return _run("ip", *words)


def _iptables(*words: str) -> None:
    _run("iptables", "-w", "10", *words)


def _run(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0
