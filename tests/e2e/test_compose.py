"""The suite in containers, from the project's own Dockerfile: a build and a launch through it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx2
import pytest

from binder_client.client import Client
from tests.support.git_server import git_server
from tests.support.suite import SERVICES, dismantle, free_ports

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
CA = Path("/etc/ssl/certs/ca-certificates.crt")
SERVER = """
import http.server, os
class Here(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"it works")
http.server.HTTPServer(("0.0.0.0", int(os.environ["BINDER_PORT"])), Here).serve_forever()
"""


@dataclass
class Composed:
    """A project of docker compose."""

    project: str
    url: str
    environ: dict[str, str]

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        command = ["docker", "compose", "--project-name", self.project, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, errors="replace", timeout=timeout
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    names = [
        *(f"BINDER_{name.upper()}_PORT" for name in SERVICES),
        "BINDER_CONTROL_PORT",
        "BINDER_CONTROL_METRICS_PORT",
    ]
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    project = f"binder-test-{uuid.uuid4().hex[:8]}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BINDER_")}
    environ = {
        **kept,
        **ports,
        "BINDER_CONTROL_HOST": "127.0.0.1",
        "BINDER_IMAGE": f"{project}:latest",
        "BINDER_BUILD_ALLOW_HOSTS": "127.0.0.1",
        "BINDER_HEALTH_DELAY": "3600",
        **({"BINDER_CA_BUNDLE": str(CA)} if CA.exists() else {}),
    }
    found = Composed(project, f"http://127.0.0.1:{ports['BINDER_CONTROL_PORT']}", environ)
    home = tmp_path_factory.mktemp("compose")
    try:
        found.compose("build", "registry", timeout=900)
        found.compose("up", "--detach", "--wait", "--wait-timeout", "120", "--no-build")
        (home / "instance").write_text(found.compose("exec", "-T", "deploy", "cat", "/var/lib/binder/instance"))
        yield found
    except AssertionError:
        print(found.compose("logs", "--tail", "20"))
        raise
    finally:
        found.compose("down", "--volumes", "--timeout", "20")
        if (home / "instance").exists():
            dismantle(home)
        _remove_image(f"{project}:latest")


@pytest.fixture(scope="module")
def client(composed: Composed) -> Iterator[Client]:
    key = composed.compose("exec", "-T", "deploy", "binder-control", "keys", "show").strip()
    with Client(composed.url, key) as found:
        yield found


def test_every_service_is_a_healthy_container(composed: Composed) -> None:
    rows = [json.loads(line) for line in composed.compose("ps", "--format", "json").splitlines()]

    assert {row["Service"]: row["Health"] for row in rows} == dict.fromkeys((*SERVICES, "front-door"), "healthy")


def test_a_repository_is_built_launched_opened_and_stopped(client: Client, tmp_path: Path) -> None:
    with git_server(tmp_path) as server:
        url = server.create("example/tiny", {"serve.py": SERVER, "start": "#!/bin/sh\nexec python3 serve.py\n"}).url
        build = client.build.wait(client.build.start(url).name, timeout=120)
    assert build.template is not None

    launched = client.deploy.deploy(build.template)
    application = client.deploy.wait(build.template, launched.id, timeout=60)
    page = httpx2.get(application.location or "", follow_redirects=True, timeout=30)
    client.deploy.stop(build.template, launched.id)

    assert (page.status_code, page.text) == (200, "it works")
    _remove_image(build.image or "")


def test_the_key_is_in_no_container_description(composed: Composed, client: Client) -> None:
    key = composed.compose("exec", "-T", "deploy", "binder-control", "keys", "show").strip()
    containers = composed.compose("ps", "--quiet").split()

    described = subprocess.run(
        ["docker", "inspect", *containers], check=True, capture_output=True, text=True, timeout=30
    )

    assert key not in described.stdout


def _remove_image(name: str) -> None:
    engine = docker.from_env()
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.images.remove(name, force=True)
    engine.close()
