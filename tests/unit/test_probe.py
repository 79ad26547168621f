"""The question whether an application answers, as it is put to a front door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binder_deploy.backends import Instance, State
from binder_deploy.probe import PAGE_HEADER, Probe
from tests.support.launches import a_launch


class Router(ThreadingHTTPServer):
    """Has a route for `name` alone, and only from the second question on; `asked` are the names so far."""

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Router

    def do_GET(self) -> None:
        host = self.headers["Host"]
        self.server.asked.append(host)
        known = host == self.server.name and len(self.server.asked) > 1
        self.send_response(200 if known else 503)
        if not known:
            self.send_header(PAGE_HEADER, "starting")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def router(name: str) -> Iterator[Router]:
    with Router(name) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("host", ["binder.example.org", None])
def test_routes_that_are_for_a_name_are_asked_by_that_name(host: str | None) -> None:
    with router("binder.example.org") as server:
        if host is None:
            server.name = f"127.0.0.1:{server.server_address[1]}"
        probe = Probe(f"http://127.0.0.1:{server.server_address[1]}", 10, host=host)
        launch = a_launch()
        assert probe.wait(launch, Instance(launch.id, State.RUNNING), lambda seconds: False)
        assert server.asked == [server.name] * 2
