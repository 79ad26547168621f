"""When an application was used."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binder_deploy.activity import (
    FrontDoor,
    Sample,
    Track,
    addresses,
    connected_to,
    fold,
    jupyter_activity,
    request_counts,
)
from binder_protocol.errors import Unavailable
from tests.support.launches import ID, NOON

METRICS = f"""\
# TYPE traefik_router_requests_total counter
traefik_router_requests_total{{code="200",method="GET",protocol="http",router="binder-{ID}@file",service="x"}} 5
traefik_router_requests_total{{code="101",method="GET",protocol="websocket",router="binder-{ID}@file",service="x"}} 2
traefik_router_requests_total{{code="200",method="GET",protocol="http",router="api-build@file",service="b@file"}} 1e+06
traefik_router_requests_total{{code="200",method="GET",protocol="http",router="api-build@kubernetes",service="b"}} 3
traefik_router_requests_bytes_total{{code="200",method="GET",router="binder-{ID}@file",service="x"}} 99
"""

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 010017AC:D431 020017AC:22B8 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 010017AC:D432 030017AC:22B8 06 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
"""


def test_requests_are_counted_per_application() -> None:
    assert request_counts(METRICS) == {ID: 7.0}


@pytest.mark.parametrize(
    "router",
    [
        f"binder-applications-binder-{ID}-user-{ID}@kubernetes",
        f"binder-{ID}-binder-{ID}-apps-example-org-user-{ID}@kubernetes",
        f"httproute-binder-applications-binder-{ID}-gw-default-web-ep-web-0-1c0cf64b@kubernetesgateway",
    ],
)
def test_routers_of_a_cluster_are_an_applications_too(router: str) -> None:
    line = f'traefik_router_requests_total{{code="200",method="GET",protocol="http",router="{router}",service="x"}} 2\n'
    assert request_counts(line) == {ID: 2.0}
    assert request_counts(line.replace("@kubernetes", "@docker")) == {}


def test_only_established_connections_count() -> None:
    assert connected_to(TABLE) == {("172.23.0.2", 8888)}


@pytest.mark.parametrize(
    ("track", "count", "connected", "at", "used"),
    [
        (None, 5, False, 10, False),  # the first sample sets where counting starts
        (Track(5, 0), 5, False, 10, False),
        (Track(5, 0), 6, False, 10, True),
        (Track(5, 0), 2, False, 10, True),  # counted since the front door was restarted
        (Track(5, 0), 0, False, 10, False),  # restarted, and nothing since
        (Track(5, 0), 5, True, 10, True),  # a web socket
        (Track(5, 9), 5, True, 10, False),  # kept by the front door for reuse
    ],
)
def test_use_is_a_request_or_a_connection_that_stays(
    track: Track | None, count: float, connected: bool, at: float, used: bool
) -> None:
    sample = Sample(at, {ID: count}, frozenset({ID}) if connected else frozenset())
    assert fold({} if track is None else {ID: track}, sample, [ID])[1] == ({ID} if used else set())


def test_what_is_no_longer_watched_is_forgotten() -> None:
    assert fold({ID: Track(1, 0)}, Sample(1, {}, frozenset()), [])[0] == {}


@pytest.mark.parametrize(
    ("status", "kernels", "minutes"),
    [
        ({"last_activity": "2026-11-23T11:30:00.000000Z"}, [], -30),
        ({"last_activity": "2026-11-23T11:30:00Z"}, [{"execution_state": "busy"}], 0),
        ({"last_activity": "2099-01-01T00:00:00Z"}, [], None),
        ({"last_activity": "2026-11-23T12:00:30Z"}, [], 0),
        ({"last_activity": 7}, {"x": 1}, None),
        (None, None, None),
        ("never", ["busy"], None),
    ],
)
def test_jupyter_is_believed_within_reason(status: object, kernels: object, minutes: int | None) -> None:
    expected = None if minutes is None else NOON + timedelta(minutes=minutes)
    assert jupyter_activity(status, kernels, NOON) == expected


def test_several_front_doors_count_together_and_one_that_is_silent_leaves_use_unknown() -> None:
    page = f'traefik_router_requests_total{{router="binder-{ID}@file"}} 2\n'.encode()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("0.0.0.0", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://doors.example:{server.server_port}/metrics"
        found = ["127.0.0.1", "127.0.0.2"]
        assert FrontDoor(url, lambda host, port: found).requests() == {ID: 4.0}
        server.shutdown()
    with pytest.raises(Unavailable):
        FrontDoor(url, lambda host, port: found).requests()


def test_a_front_door_has_addresses_of_one_family() -> None:
    assert addresses("localhost", 80) == ["127.0.0.1"]
    assert addresses("127.0.0.1", 80) == ["127.0.0.1"]


def test_a_front_door_that_nobody_knows_leaves_use_unknown() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(Unavailable, match="doors is not known"):
        FrontDoor("http://doors:8081/metrics", unknown).requests()
