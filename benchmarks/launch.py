"""Launching through Binder against a bare `docker run` of the same image and command, until HTTP 200, taking turns.

    python -m benchmarks.launch [--rounds 9] [--app server|jupyter] [--json FILE]

Binder's way is the whole one: POST to the deploy service, template from the registry, container, route, token,
readiness, record; it ends with a 200 through the front door. The bare way is the docker command and a 200 at the
container's own address. Both are polled every 5 ms. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker

from binder_client.client import Client
from binder_deploy.main import instance_id, make_backend
from binder_deploy.settings import DeploySettings
from binder_protocol.models import ApplicationStatus, TemplateSpec
from binder_protocol.service.settings import load_settings
from tests.support.deploying import DOCKER, SERVER, python, remove_all
from tests.support.eventually import eventually
from tests.support.frontdoor import free_door, front_door
from tests.support.processes import free_port

IMAGE = "binder-base:latest"
POLL_SECONDS = 0.005
DEADLINE_SECONDS = 120
TARGETS = {1: 1.10, 5: 1.10, 10: 1.05}


@dataclass(frozen=True)
class App:
    """What is launched. `environment` is what the bare run is given to do the same."""

    command: list[str] | None
    environment: dict[str, str]
    path: str
    login: bool


APPS = {
    "server": App(python(SERVER), {"PORT": "8888"}, "/", login=False),
    "jupyter": App(None, {"JUPYTER_TOKEN": "t"}, "/api", login=True),
}


@dataclass(frozen=True)
class Suite:
    client: Client
    door: str


@contextlib.contextmanager
def suite(app: App) -> Iterator[Suite]:
    """Registry, deploy service and front door, each a process of its own as in production."""
    with tempfile.TemporaryDirectory(prefix="binder-launch-") as name, contextlib.ExitStack() as stack:
        home, key, door = Path(name), secrets.token_hex(16), free_door()
        registry, deploy = free_port(), free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BINDER_")},
            "BINDER_HOME": str(home), "BINDER_API_KEY": key, "BINDER_LOG_LEVEL": "warning",
            "BINDER_REGISTRY_PORT": str(registry), "BINDER_DEPLOY_PORT": str(deploy),
            "BINDER_REGISTRY_URL": f"http://127.0.0.1:{registry}", "BINDER_PUBLIC_URL": door.url,
            "BINDER_DEPLOY_FRONT_DOOR_URL": door.url, "BINDER_DEPLOY_FRONT_DOOR_METRICS_URL": door.metrics_url,
            "BINDER_DEPLOY_DOCKER_URL": DOCKER,
        }  # fmt: skip
        stack.callback(_clean, environment, instance_id(home))
        urls = {"registry": f"http://127.0.0.1:{registry}", "deploy": f"http://127.0.0.1:{deploy}"}
        for service in urls:
            stack.enter_context(_service(service, urls[service], environment))
        stack.enter_context(front_door(door, home / "front-door", urls=urls))
        client = stack.enter_context(Client(door.url, key))
        spec = TemplateSpec(name="bench", image=_image_id(), command=app.command, health_path=app.path)
        client.registry.register(spec)
        yield Suite(client, door.url)


@contextlib.contextmanager
def _service(name: str, url: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", f"binder_{name}"], env=environment)
    try:
        eventually(lambda: _status(f"{url}/readyz") == 200, within=30, what=f"the {name} service's start")
        yield
    finally:
        process.terminate()
        process.wait(30)


def _clean(environment: dict[str, str], home: str) -> None:
    remove_all(DOCKER, home)
    backend = make_backend(load_settings(DeploySettings, environ=environment))
    backend.ping()
    backend.close()


def binder_launch(made: Suite, app: App) -> float:
    """Seconds until the application answers 200 through the front door."""
    began = time.perf_counter()
    asked = made.client.deploy.deploy("bench")
    for event in made.client.deploy.events("bench", asked.id, follow=True):
        if event.status is ApplicationStatus.DEPLOYED:
            break
        if event.status.ended:
            raise RuntimeError(event.message)
    location = made.client.deploy.status("bench", asked.id).location or ""
    url, _, token = location.partition("?token=")
    _until_200(url.rstrip("/") + app.path, {"Authorization": f"token {token}"})
    return time.perf_counter() - began


def bare_run(api: docker.APIClient, app: App, name: str) -> float:
    """Seconds until a container started by the docker command answers 200 at its own address."""
    words = [word for key, value in app.environment.items() for word in ("-e", f"{key}={value}")]
    began = time.perf_counter()
    subprocess.run(
        ["docker", "-H", DOCKER, "run", "--detach", "--name", name, *words, IMAGE, *(app.command or [])],
        check=True, capture_output=True, timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    address = api.inspect_container(name)["NetworkSettings"]["IPAddress"]
    _until_200(f"http://{address}:8888{app.path}", {})
    return time.perf_counter() - began


def together(number: int, launch: Callable[[int], float]) -> float:
    """The wall time until all of `number` answer."""
    if number == 1:
        return launch(0)
    began = time.perf_counter()
    with ThreadPoolExecutor(number) as pool:
        list(pool.map(launch, range(number)))
    return time.perf_counter() - began


def _until_200(url: str, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while _status(url, headers) != http.client.OK:
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(POLL_SECONDS)


def _status(url: str, headers: dict[str, str] | None = None) -> int | None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path, headers=headers or {})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _image_id() -> str:
    done = subprocess.run(
        ["docker", "-H", DOCKER, "image", "inspect", "--format", "{{.Id}}", IMAGE],
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


def measure(made: Suite, app: App, number: int, rounds: int) -> dict[str, float]:
    """Both ways, taking turns; the first round of each warms up and isn't counted."""
    api = docker.APIClient(base_url=DOCKER)
    binder: list[float] = []
    bare: list[float] = []
    try:
        for turn in range(rounds + 1):
            names = [f"binder-bench-{secrets.token_hex(6)}" for _ in range(number)]
            try:
                seconds_bare = together(number, lambda place: bare_run(api, app, names[place]))  # noqa: B023
            finally:
                for name in names:
                    with contextlib.suppress(docker.errors.APIError):
                        api.remove_container(name, force=True, v=True)
            seconds_binder = together(number, lambda _place: binder_launch(made, app))
            for each in made.client.deploy.list(limit=1000):
                made.client.deploy.stop("bench", each.id)
            if turn:
                bare.append(seconds_bare)
                binder.append(seconds_binder)
    finally:
        api.close()
    return {
        "at_once": number, "rounds": rounds, "ratio": statistics.median(binder) / statistics.median(bare),
        "target": TARGETS[number],
        "binder_median": statistics.median(binder), "binder_min": min(binder), "binder_max": max(binder),
        "bare_median": statistics.median(bare), "bare_min": min(bare), "bare_max": max(bare),
    }  # fmt: skip


def main() -> None:
    """Measures one, five and ten at once; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--app", choices=sorted(APPS), default="server")
    parser.add_argument("--at-once", type=int, nargs="*", default=list(TARGETS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    app = APPS[given.app]
    with suite(app) as made:
        results = [measure(made, app, number, given.rounds) for number in given.at_once]
    print(f"{given.app}: seconds until 200, median (min-max)")
    print("at once   Binder                 docker run             ratio   target")
    for each in results:
        binder = f"{each['binder_median']:.3f} ({each['binder_min']:.3f}-{each['binder_max']:.3f})"
        bare = f"{each['bare_median']:.3f} ({each['bare_min']:.3f}-{each['bare_max']:.3f})"
        print(f"{each['at_once']:<9.0f} {binder:<22} {bare:<22} {each['ratio']:<7.3f} {each['target']:.2f}")
    if given.json:
        given.json.write_text(json.dumps({"app": given.app, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
