"""The applications' network and its firewall: what a container may reach is a value, applied by iptables.

A bridge without traffic between containers is not enough: through it they still reach the host's own services on the
gateway's address, the metadata service of a cloud, and the networks around the host. So the bridge has a fixed name,
and rules refuse what comes in through it, but for answers, name resolution and the public internet. IPv6 is off on
the network; what comes through the bridge nevertheless (link-local addresses need no consent) is refused altogether.

The rules stand in chains of our own, written anew as a whole and atomically by iptables-restore; Docker keeps its hands
off DOCKER-USER, and a reloaded firewall is mended by the reconciler.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from binder_protocol.errors import Unavailable

log = structlog.get_logger()

REFUSED_NETWORKS = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Everything but the public internet: private, shared, link-local (the metadata service), multicast, reserved."""

_DOCKER_USER = "DOCKER-USER"
_WAIT_SECONDS = 5
_DEADLINE_SECONDS = 15


@dataclass(frozen=True)
class Network:
    """One suite's network. `resolvers`: where the engine asks for names; `reachable`: private networks let through."""

    home: str
    name: str
    resolvers: tuple[str, ...] = ()
    reachable: tuple[str, ...] = ()

    @property
    def interface(self) -> str:
        """The bridge's name; Linux takes 15 characters."""
        return f"binder-{self.home[:8]}"

    @property
    def forward_chain(self) -> str:
        """The chain for what goes through the host."""
        return f"BINDER-{self.home[:8]}-FWD"

    @property
    def input_chain(self) -> str:
        """The chain for what goes to the host itself."""
        return f"BINDER-{self.home[:8]}-IN"


def bridge_options(network: Network) -> dict[str, str]:
    """The options of Docker's bridge driver."""
    return {
        "com.docker.network.bridge.name": network.interface,
        "com.docker.network.bridge.enable_icc": "false",
    }


def rules(network: Network) -> str:
    """The two chains for IPv4, as iptables-restore reads them; whatever stood in them before is replaced."""
    forward, inward = network.forward_chain, network.input_chain
    answers = "-m conntrack --ctstate ESTABLISHED,RELATED"
    lines = ["*filter", f":{forward} - [0:0]", f":{inward} - [0:0]", f"-A {forward} {answers} -j RETURN"]
    for resolver in network.resolvers:
        for protocol in ("udp", "tcp"):
            for chain, verdict in ((forward, "RETURN"), (inward, "ACCEPT")):
                lines.append(f"-A {chain} -d {resolver}/32 -p {protocol} -m {protocol} --dport 53 -j {verdict}")
    lines += [f"-A {forward} -d {each} -j RETURN" for each in network.reachable]
    lines += [f"-A {forward} -d {each} -j REJECT" for each in REFUSED_NETWORKS]
    lines += [f"-A {inward} {answers} -j ACCEPT", f"-A {inward} -j REJECT", "COMMIT"]
    return "\n".join(lines) + "\n"


def rules6(network: Network) -> str:
    """The chains for IPv6: nothing passes."""
    return "".join(
        f"{line}\n"
        for line in (
            "*filter",
            f":{network.forward_chain} - [0:0]",
            f":{network.input_chain} - [0:0]",
            f"-A {network.forward_chain} -j REJECT",
            f"-A {network.input_chain} -j REJECT",
            "COMMIT",
        )
    )


def jumps(network: Network, *, forward: str = _DOCKER_USER) -> tuple[tuple[str, ...], ...]:
    """The rules that lead into the chains: chain, then the rule's words."""
    return (
        (forward, "-i", network.interface, "-j", network.forward_chain),
        ("INPUT", "-i", network.interface, "-j", network.input_chain),
    )


def resolvers(resolv_conf: str) -> tuple[str, ...]:
    """The IPv4 name servers of a resolv.conf that the engine asks from within a container's network.

    Those on the loopback are asked from the host's network and need no rule.
    """
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1])
        except ValueError:
            continue
        if address.version == 4 and not address.is_loopback:
            found.append(str(address))
    return tuple(dict.fromkeys(found))


def networks(texts: Iterable[str]) -> tuple[str, ...]:
    """IPv4 networks as iptables writes them. Raises ValueError for what is none."""
    return tuple(str(ipaddress.IPv4Network(text, strict=False)) for text in texts)


class Firewall:
    """Applies the rules of one network. `apply` mends what is missing and may be called again and again."""

    def __init__(self, network: Network, *, ipv6: bool | None = None) -> None:
        self._network = network
        self._ipv6 = Path("/proc/net/if_inet6").exists() if ipv6 is None else ipv6

    def apply(self) -> None:
        """The rules stand as they should afterwards. Raises Unavailable, with what to do, where that can't be."""
        _run("iptables-restore", "--noflush", f"--wait={_WAIT_SECONDS}", text=rules(self._network))
        _lead_in("iptables", jumps(self._network))
        if self._ipv6:
            _run("ip6tables-restore", "--noflush", f"--wait={_WAIT_SECONDS}", text=rules6(self._network))
            _lead_in("ip6tables", jumps(self._network, forward="FORWARD"))

    def remove(self) -> None:
        """Takes the rules away; those that aren't there are no fault."""
        _lead_out("iptables", jumps(self._network), self._network)
        if self._ipv6:
            _lead_out("ip6tables", jumps(self._network, forward="FORWARD"), self._network)


class NoFirewall:
    """For an operator who set `isolation = "off"`."""

    def apply(self) -> None:
        """Does nothing."""

    def remove(self) -> None:
        """Does nothing."""


def _lead_in(program: str, wanted: Sequence[tuple[str, ...]]) -> None:
    for chain, *rule in wanted:
        if not _succeeds(program, "-C", chain, *rule):
            _run(program, f"-w{_WAIT_SECONDS}", "-I", chain, "1", *rule)


def _lead_out(program: str, wanted: Sequence[tuple[str, ...]], network: Network) -> None:
    for chain, *rule in wanted:
        while _succeeds(program, "-D", chain, *rule):
            pass
    for chain in (network.forward_chain, network.input_chain):
        _succeeds(program, "-F", chain)
        _succeeds(program, "-X", chain)


def _succeeds(program: str, *words: str) -> bool:
    try:
        _run(program, f"-w{_WAIT_SECONDS}", *words)
    except Unavailable:
        return False
    return True


def _run(program: str, *words: str, text: str | None = None) -> None:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise _refused(f"{program} is not installed")
    # Only root may; a user who set this machine up with sudo has it here too.
    sudo = [] if os.geteuid() == 0 or not shutil.which("sudo") else ["sudo", "--non-interactive"]
    try:
        done = subprocess.run(
            [*sudo, path, *words], input=text, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refused(f"{program} didn't end within {_DEADLINE_SECONDS} s") from None
    if done.returncode != 0:
        raise _refused((done.stderr.strip().splitlines() or [f"{program} ended with {done.returncode}"])[0])


def _refused(why: str) -> Unavailable:
    return Unavailable(
        f"applications can't be kept apart from this host and its networks, so none is launched: {why[:300]}",
        suggestions=(
            "run the deploy service as root, or as a user whose sudo asks for no password, on a host with iptables",
            'on a machine of your own: set isolation = "off" below [deploy] in binder.toml',
        ),
    )
