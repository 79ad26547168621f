"""What applications may reach, as iptables is told."""

from __future__ import annotations

import pytest

from binder_deploy.network import Network, jumps, networks, resolvers, rules, rules6

NETWORK = Network("feedc0de12345678", "binder", resolvers=("10.0.0.2",), reachable=("10.9.0.0/16",))


def test_the_rules_as_a_whole() -> None:
    assert (
        rules(NETWORK)
        == """\
*filter
:BINDER-feedc0de-FWD - [0:0]
:BINDER-feedc0de-IN - [0:0]
-A BINDER-feedc0de-FWD -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A BINDER-feedc0de-FWD -d 10.0.0.2/32 -p udp -m udp --dport 53 -j RETURN
-A BINDER-feedc0de-IN -d 10.0.0.2/32 -p udp -m udp --dport 53 -j ACCEPT
-A BINDER-feedc0de-FWD -d 10.0.0.2/32 -p tcp -m tcp --dport 53 -j RETURN
-A BINDER-feedc0de-IN -d 10.0.0.2/32 -p tcp -m tcp --dport 53 -j ACCEPT
-A BINDER-feedc0de-FWD -d 10.9.0.0/16 -j RETURN
-A BINDER-feedc0de-FWD -d 0.0.0.0/8 -j REJECT
-A BINDER-feedc0de-FWD -d 10.0.0.0/8 -j REJECT
-A BINDER-feedc0de-FWD -d 100.64.0.0/10 -j REJECT
-A BINDER-feedc0de-FWD -d 127.0.0.0/8 -j REJECT
-A BINDER-feedc0de-FWD -d 169.254.0.0/16 -j REJECT
-A BINDER-feedc0de-FWD -d 172.16.0.0/12 -j REJECT
-A BINDER-feedc0de-FWD -d 192.0.0.0/24 -j REJECT
-A BINDER-feedc0de-FWD -d 192.168.0.0/16 -j REJECT
-A BINDER-feedc0de-FWD -d 198.18.0.0/15 -j REJECT
-A BINDER-feedc0de-FWD -d 224.0.0.0/4 -j REJECT
-A BINDER-feedc0de-FWD -d 240.0.0.0/4 -j REJECT
-A BINDER-feedc0de-IN -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A BINDER-feedc0de-IN -j REJECT
COMMIT
"""
    )


def test_nothing_passes_over_ipv6() -> None:
    assert [line.split()[-1] for line in rules6(NETWORK).splitlines() if line.startswith("-A")] == ["REJECT", "REJECT"]


def test_everything_that_comes_through_the_bridge_is_led_into_the_rules() -> None:
    assert jumps(NETWORK) == (
        ("DOCKER-USER", "-i", "binder-feedc0de", "-j", "BINDER-feedc0de-FWD"),
        ("INPUT", "-i", "binder-feedc0de", "-j", "BINDER-feedc0de-IN"),
    )
    assert len(NETWORK.interface) <= 15
    assert len(NETWORK.forward_chain) <= 28


def test_the_resolvers_are_those_that_the_engine_asks_from_within_the_network() -> None:
    servers = ("127.0.0.53", "10.0.0.2", "fd00::1", "10.0.0.2", "", "x; rm")
    assert resolvers("".join(f"nameserver {each}\n" for each in servers) + "# x\nsearch a\n") == ("10.0.0.2",)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "-j ACCEPT", "fd00::/8", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        networks([text])
