"""Which hosts a repository may be fetched from: those at public addresses, and those that a setting allows.

Spelling, resolving and judging are here; connecting is not. What `AddressPolicy.addresses` answers is what the
caller must connect to: asking the resolver a second time could give another answer.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable

from binder_plan.hosts import check_host, is_public, may_be_public
from binder_protocol.errors import BadRepoSource, SourceUnreachable

Resolver = Callable[[str, int], list[str]]

RESOLVE_SECONDS = 10.0


def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system's resolver gives them. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressPolicy:
    """Says which addresses may be connected to.

    `allowed`: hosts (`git.example.org`), a host's port (`git.example.org:8443`), addresses and networks (`10.1.0.0/16`)
    that may be reached although they are private.
    """

    def __init__(self, allowed: Iterable[str] = (), *, resolver: Resolver = resolve) -> None:
        """Raises `ValueError` for an entry that is neither a host nor a network."""
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._hosts: set[str] = set()
        self._resolver = resolver
        for entry in allowed:
            self._allow(entry.strip().lower())

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses to connect to for `host`, all of them allowed; at most four, IPv4 first.

        Raises `BadRepoSource` where one of them is not allowed, `SourceUnreachable` where there is none.
        """
        host = check_host(host)
        found = [ipaddress.ip_address(text) for text in self._resolved(host, port)]
        if host not in self._hosts and f"{host}:{port}" not in self._hosts:
            for address in found:
                if not is_public(address) and not any(address in network for network in self._networks):
                    raise BadRepoSource(
                        "the repository is on a private network, which this service doesn't reach into",
                        suggestions=("use a repository on the internet", "operator: name its host in `allow-hosts`"),
                    )
        found.sort(key=lambda address: address.version)
        return tuple(str(address) for address in found[:4])

    def allows_literal(self, host: str) -> bool:
        """Whether `host` could be allowed, as far as its spelling says: False for private addresses and `localhost`."""
        host = check_host(host)
        if host in self._hosts or may_be_public(host):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _allow(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry, strict=False))
            return
        except ValueError:
            pass
        host, _, port = entry.rpartition(":") if re.fullmatch(r"[^:]+:\d+", entry) else (entry, "", "")
        try:
            self._hosts.add(f"{check_host(host)}:{int(port)}" if port else check_host(host))
        except BadRepoSource:
            raise ValueError(f"neither a host nor a network: {entry!r}") from None

    def _resolved(self, host: str, port: int) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        answer: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._resolver(host, port))
            except (OSError, UnicodeError):
                answer.put([])

        # The system's resolver knows no deadline of its own; a thread that outlives ours ends when it does.
        threading.Thread(target=ask, name=f"resolve-{host}", daemon=True).start()
        try:
            found = answer.get(timeout=RESOLVE_SECONDS)
        except queue.Empty:
            found = []
        if not found:
            raise SourceUnreachable(f"no address is known for {host}", suggestions=("check the spelling of the host",))
        return found
