"""A real server in a thread, on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from binder_protocol.service.server import server_for
from tests.support.eventually import eventually


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The URL of `app` under uvicorn; on leaving it is stopped as SIGTERM would."""
    server = server_for(app, app.state.service.settings)
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="uvicorn", daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), within=30, what="the server's start")
        if not server.started:
            raise RuntimeError("the server did not start; its log says why")
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        sock.close()
        assert not thread.is_alive(), "the server did not stop"
