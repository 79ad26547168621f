"""supervisord's XML-RPC over its unix socket, with a deadline on every call."""

from __future__ import annotations

import http.client
import xmlrpc.client
from pathlib import Path
from typing import Any

from binder_control.errors import ControlError, NotRunning
from binder_control.unix_http import UnixConnection

_TIMEOUT_SECONDS = 10.0


class Rpc:
    """Calls one supervisord. Each call is a connection of its own, so that none outlives a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, method: str, *arguments: object, timeout: float = _TIMEOUT_SECONDS) -> Any:
        """The method's answer. Raises NotRunning where nobody listens, ControlError for a fault or silence."""
        proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=_Transport(self._path, timeout))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise ControlError(f"supervisord refused {method}: {fault.faultString}") from fault
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning("the suite doesn't run", "binder-control start-all") from error
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"supervisord doesn't answer on {self._path}: {error}") from error


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002  the parent's signature
        return UnixConnection(self._path, self._timeout)
