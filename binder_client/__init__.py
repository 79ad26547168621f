"""The client of Binder's services: a library (`Client`) and a command line (`binder_client.cli`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from binder_client.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """`Client` when it is first asked for: the command line's help needs no HTTP library."""
    if name == "Client":
        from binder_client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
