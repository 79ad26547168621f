"""Which addresses may be fetched from."""

from __future__ import annotations

import pytest

from binder_build.sources import addresses
from binder_build.sources.addresses import AddressPolicy
from binder_protocol.errors import BadRepoSource, SourceUnreachable

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
]


def policy(*found: str, allowed: tuple[str, ...] = ()) -> AddressPolicy:
    return AddressPolicy(allowed, resolver=lambda host, port: list(found))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(BadRepoSource, match="private"):
        policy(address).addresses("git.example.org", 443)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(BadRepoSource):
        policy("93.184.216.34", "10.0.0.1").addresses("git.example.org", 443)


def test_public_addresses_are_what_is_to_be_connected_to() -> None:
    found = policy("2606:2800::1", "93.184.216.34").addresses("git.example.org", 443)
    assert found == ("93.184.216.34", "2606:2800::1")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "[fe80::1%eth0]"])
def test_odd_spellings_of_an_address_never_reach_a_resolver(host: str) -> None:
    asked: list[str] = []
    with pytest.raises(BadRepoSource):
        AddressPolicy(resolver=lambda host, port: asked.append(host) or []).addresses(host, 443)
    assert not asked


@pytest.mark.parametrize(
    "allowed", ["git.example.org", "git.example.org:8443", "10.0.0.0/8", "10.0.0.1", "GIT.example.org"]
)
def test_a_setting_allows_private_hosts_and_networks(allowed: str) -> None:
    assert policy("10.0.0.1", allowed=(allowed,)).addresses("git.example.org", 8443) == ("10.0.0.1",)


def test_an_allowed_port_allows_no_other_port() -> None:
    with pytest.raises(BadRepoSource):
        policy("10.0.0.1", allowed=("git.example.org:8443",)).addresses("git.example.org", 2375)


def test_an_entry_that_is_no_host_is_a_mistake_of_the_operator() -> None:
    with pytest.raises(ValueError, match="neither a host nor a network"):
        AddressPolicy(["http://x"])


def test_a_host_without_addresses_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable):
        policy().addresses("git.example.org", 443)


def test_a_resolver_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    never = threading.Event()
    monkeypatch.setattr(addresses, "RESOLVE_SECONDS", 0.05)
    with pytest.raises(SourceUnreachable):
        AddressPolicy(resolver=lambda host, port: (never.wait(5) and []) or []).addresses("git.example.org", 443)
    never.set()


@pytest.mark.parametrize("host", ["localhost", "x.local", "metadata.google.internal", "127.0.0.1", "::1", "10.0.0.1"])
def test_a_spelling_alone_tells_some_private_hosts(host: str) -> None:
    assert not AddressPolicy().allows_literal(host)
