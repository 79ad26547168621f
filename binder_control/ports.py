"""Ports: whether one is free, and whose it is."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from binder_control.errors import PortTaken
from binder_control.programs import Port


def require_free(ports: Iterable[Port]) -> None:
    """Raises PortTaken, which names every taken port, its owner and the setting that changes it."""
    taken = [port for port in ports if not is_free(port)]
    if not taken:
        return
    words = [f"port {port.number} on {port.host} is taken{_by(port.number)}" for port in taken]
    raise PortTaken(
        "; ".join(words),
        *(f"stop that program, or set another port in binder.toml: {port.setting}" for port in taken),
    )


def is_free(port: Port) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError:
            return False
        return True


def _by(number: int) -> str:
    owner = owner_of(number)
    return f" by {owner}" if owner else " by a process of another user"


def owner_of(number: int) -> str | None:
    """`name (pid N)` of the process that listens on this port, where this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for each in connections:
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == number and each.pid:
            try:
                process = psutil.Process(each.pid)
                words = " ".join(process.cmdline())[:120] or process.name()
            except psutil.Error:
                words = "a process"
            return f"{words} (pid {each.pid})"
    return None
