"""Whether the registry of images answers, as doctor sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binder_control.host.cluster import cluster_findings
from binder_control.host.image_registry import registry_finding
from tests.support.processes import free_port


@pytest.fixture(params=[200, 401, 404])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/v2/" else 500)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield request.param, f"127.0.0.1:{server.server_port}/binder"
        server.shutdown()


def test_a_registry_answers_whoever_asks(place: tuple[int, str]) -> None:
    status, prefix = place
    assert registry_finding(prefix, tls=False).verdict.value == ("failed" if status == 404 else "ok")


def test_what_does_not_answer_or_not_as_it_should_says_what_to_do(place: tuple[int, str]) -> None:
    for found in (registry_finding(f"127.0.0.1:{free_port()}", tls=False), registry_finding(place[1], tls=True)):
        assert found.verdict.value == "failed"
        assert "registry-tls" in found.mend


def test_a_cluster_that_can_not_be_looked_at_is_a_finding() -> None:
    (found,) = cluster_findings({"BINDER_DEPLOY_BACKEND": "kubernetes", "BINDER_DEPLOY_PORT": "none"})
    assert (found.check, found.verdict.value) == ("cluster", "failed")
    assert cluster_findings({"BINDER_DEPLOY_BACKEND": "memory"}) == []
