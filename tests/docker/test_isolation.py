"""What an application can't reach, each tried from inside a container; and what it is allowed to be."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from binder_deploy.backends import Instance
from binder_deploy.backends.docker import DockerBackend
from binder_deploy.launches import Launch
from binder_deploy.network import Firewall
from binder_protocol.errors import Unavailable
from tests.support.deploying import DOCKER, SERVER, docker_backend, new_id, python, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door

pytestmark = pytest.mark.docker

METADATA, COMPANY = "169.254.169.254", "10.231.77.1"

TRY = """
import json, socket, sys
def tried(kind, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        try:
            sock.connect(socket.getaddrinfo(host, port, family)[0][4])
            return "reached"
        except OSError as error:
            return type(error).__name__
print(json.dumps({name: tried(name, *target) for name, target in json.loads(sys.argv[1]).items()}))
"""

ABOUT = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")],
    "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "docker": os.path.exists("/var/run/docker.sock"),
}))
"""


@dataclass
class Inside:
    """A backend with real rules, two applications, and ways to look from within the first."""

    backend: DockerBackend
    firewall: Firewall
    launch: Launch
    own: Instance
    other: Instance

    def run(self, code: str, *words: str) -> dict[str, object]:
        """What `code`, run in the first application's container, prints as JSON."""
        api = docker.APIClient(base_url=DOCKER, timeout=60)
        try:
            made = api.exec_create(f"binder-{self.launch.id}", [*python(code), *words], user="1000:1000")
            out = api.exec_start(made["Id"])
            answer: dict[str, object] = json.loads(out.decode().strip().splitlines()[-1])
            return answer
        finally:
            api.close()

    def tries(self, **targets: tuple[str, int]) -> dict[str, object]:
        return self.run(TRY, json.dumps(targets))

    @property
    def gateway(self) -> str:
        assert self.own.address is not None
        return self.own.address[0].rpartition(".")[0] + ".1"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    settings = settings_for(tmp_path_factory.mktemp("isolation"), Door(1, 1))
    with docker_backend(settings) as backend:
        firewall = backend._firewall
        assert isinstance(firewall, Firewall)
        launch = _launch()
        own, other = backend.launch(launch), backend.launch(_launch())
        yield Inside(backend, firewall, launch, own, other)


def _launch() -> Launch:
    return Launch(
        id=new_id(), template="isolated", revision=1, image="binder-base:latest", token="t" * 32,
        command=tuple(python(SERVER)), memory=128 * 2**20, cpu=1000, pids=32, cull_timeout=1000,
    )  # fmt: skip


@pytest.fixture(scope="module")
def host_port() -> Iterator[int]:
    """A service of the host, on all of its addresses."""
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[None]:
    """The metadata service's address and one of a company's network, on an interface of this machine."""
    name = "bnd-test0"
    _ip("link", "add", name, "type", "bridge")
    try:
        for address in (METADATA, COMPANY):
            _ip("addr", "add", f"{address}/32", "dev", name)
        _ip("link", "set", name, "up")
        yield
    finally:
        _ip("link", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def without_rules(inside: Inside) -> Iterator[None]:
    inside.firewall.remove()
    try:
        yield
    finally:
        inside.firewall.apply()


@pytest.mark.usefixtures("stand_ins")
def test_neither_host_nor_metadata_nor_private_networks_are_reached_and_the_rules_are_why(
    inside: Inside, host_port: int
) -> None:
    targets = {
        "gateway": (inside.gateway, host_port),
        "metadata": (METADATA, host_port),
        "company": (COMPANY, host_port),
        "docker0": ("172.17.0.1", host_port),
    }
    with without_rules(inside):
        assert set(inside.tries(**targets).values()) == {"reached"}
    assert "reached" not in inside.tries(**targets).values()


def test_another_application_is_not_reached_but_the_host_reaches_both(inside: Inside) -> None:
    assert inside.other.address is not None
    assert inside.own.address is not None
    assert inside.tries(other=inside.other.address)["other"] != "reached"
    assert inside.tries(own=inside.own.address)["own"] == "reached"
    for address in (inside.own.address, inside.other.address):
        eventually(lambda address=address: _answers(address))  # type: ignore[misc]


def test_a_container_outside_of_the_suite_is_not_reached(inside: Inside) -> None:
    api = docker.APIClient(base_url=DOCKER, timeout=60)
    config = {"Image": "binder-base:latest", "Cmd": python(SERVER), "Env": ["PORT=8888"]}
    made = api.create_container_from_config(config)["Id"]  # type: ignore[no-untyped-call]
    try:
        api.start(made)
        address = (api.inspect_container(made)["NetworkSettings"]["IPAddress"], 8888)
        eventually(lambda: _answers(address))
        assert inside.tries(stranger=address)["stranger"] != "reached"
    finally:
        api.remove_container(made, force=True)
        api.close()


def test_nothing_of_the_host_is_reached_over_ipv6(inside: Inside, host_port: int) -> None:
    interface = inside.backend._network.interface
    found = subprocess.run(
        ["ip", "-6", "-o", "addr", "show", "dev", interface], capture_output=True, text=True, timeout=10, check=True
    )
    addresses = [line.split()[3].partition("/")[0] for line in found.stdout.splitlines()] or ["fe80::1"]
    for address in addresses:
        assert inside.tries(host=(f"{address}%eth0", host_port))["host"] != "reached"


def test_names_are_resolved_by_the_engine(inside: Inside) -> None:
    code = "import json; print(json.dumps({'resolver': open('/etc/resolv.conf').read()}))"
    assert "127.0.0.11" in str(inside.run(code)["resolver"])


def test_an_application_is_an_ordinary_user_without_privileges(inside: Inside) -> None:
    assert inside.run(ABOUT) == {
        "uid": 1000,
        "gid": 1000,
        "groups": [1000],
        "capabilities": [0, 0, 0, 0, 0],
        "no_new_privileges": "1",
        "seccomp": "2",
        "docker": False,
    }


def test_processes_are_limited(inside: Inside) -> None:
    code = (
        "import json, os, time\nchildren = []\ntry:\n    while len(children) < 200:\n        pid = os.fork()\n"
        "        if pid == 0:\n            time.sleep(30); os._exit(0)\n        children.append(pid)\n"
        "except OSError:\n    pass\nfor pid in children: os.kill(pid, 9)\nprint(json.dumps({'made': len(children)}))"
    )
    made = inside.run(code)["made"]
    assert isinstance(made, int)
    assert 0 < made < 32


def test_rules_that_were_lost_are_put_back(inside: Inside, host_port: int) -> None:
    inside.firewall.remove()
    inside.backend.ping()
    assert inside.tries(gateway=(inside.gateway, host_port))["gateway"] != "reached"
    inside.backend.ping()
    jumps = subprocess.run(["iptables", "-S", "INPUT"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert jumps.count(f"-i {inside.backend._network.interface} ") == 1


def test_where_rules_can_not_be_made_nothing_is_launched(
    inside: Inside, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Powerless:
        def apply(self) -> None:
            raise Unavailable("applications can't be kept apart")

        def remove(self) -> None: ...

    settings = settings_for(tmp_path_factory.mktemp("powerless"), Door(1, 1))
    with docker_backend(settings) as backend:
        backend._firewall = Powerless()
        launch = _launch()
        with pytest.raises(Unavailable, match="kept apart"):
            backend.launch(launch)
        assert backend.instances() == []


def test_a_network_that_no_application_needs_goes_with_the_service_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with docker_backend(settings_for(tmp_path_factory.mktemp("network"), Door(1, 1))) as backend:
        interface = backend._network.interface
        first, second = _launch(), _launch()
        backend.launch(first)
        backend.close()
        assert interface in _interfaces()
        backend.stop(first.id)
        backend.close()
        assert interface not in _interfaces()
        assert backend.launch(second).address is not None


def _interfaces() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, timeout=10, check=True).stdout


def _answers(address: tuple[str, int]) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
