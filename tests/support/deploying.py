"""The deploy service with a real engine and a real front door, and templates from a dictionary."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker

from binder_client.client import Client
from binder_deploy.backends.docker import DockerBackend
from binder_deploy.main import build_app, instance_id, make_backend
from binder_deploy.settings import DeploySettings
from binder_protocol.errors import DoesNotExist
from binder_protocol.models import Template
from tests.support.frontdoor import Door, free_door, front_door
from tests.support.server import running

DOCKER = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
KEY = "a-key-for-tests"
IMAGE = "binder-base:latest"

SERVER = """
import os, sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (self.path + "\\n" + str(self.headers)).encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *words): pass
print("listening on", os.environ["PORT"], flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
"""A small web server that tells what it was asked."""


def python(code: str) -> list[str]:
    """The command that runs `code` in the base image, quickly."""
    return ["/usr/bin/python3", "-S", "-E", "-c", code]


@dataclass
class Templates:
    """A registry for tests."""

    known: dict[str, Template] = field(default_factory=dict)

    def fetch(self, name: str, *, revision: int | None = None) -> Template:
        if name not in self.known:
            raise DoesNotExist(f"there is no template {name}")
        return self.known[name]

    def add(self, name: str, **values: Any) -> Template:
        now = datetime.now(UTC)
        values = {"image": IMAGE, "command": python(SERVER), "port": 8888, **values}
        template = Template(
            name=name, revision=1, image_name=name, image_source=values["image"], time_created=now, time_modified=now,
            **values,
        )  # fmt: skip
        self.known[name] = template
        return template


@dataclass
class Deployment:
    """What runs: `client` speaks to the service, `door` is where people come in."""

    client: Client
    templates: Templates
    backend: DockerBackend
    settings: DeploySettings
    door: Door
    url: str
    home: str

    def launch(self, name: str = "server", **request: Any) -> Any:
        """Launches the template, and waits until it answers."""
        asked = self.client.deploy.deploy(name, **request)
        return self.client.deploy.wait(name, asked.id, timeout=60)


def settings_for(home: Path, door: Door, **values: Any) -> DeploySettings:
    """Settings that make everything happen quickly."""
    quick: dict[str, Any] = {
        "home": home, "api_key": KEY, "docker_url": DOCKER, "front_door_url": door.url, "public_url": door.url,
        "front_door_metrics_url": door.metrics_url, "start_timeout": 20, "stop_timeout": 1, "cull_grace": 0,
        "reconcile_every": 0.5, "activity_every": 0.5, "memory": "256M", "port": 0,
    }  # fmt: skip
    return DeploySettings(**{**quick, **values})


@contextmanager
def deployment(home: Path, **values: Any) -> Iterator[Deployment]:
    """A deploy service and its front door; all that was launched is gone afterwards."""
    door, templates = free_door(), Templates()
    templates.add("server")
    settings = settings_for(home, door, **values)
    identity = instance_id(home)
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(docker_backend(settings))
        url = stack.enter_context(running(build_app(settings, backend=backend, templates=templates)))
        stack.enter_context(front_door(door, home / "front-door", urls={"deploy": url}))
        client = stack.enter_context(Client(url, KEY))
        yield Deployment(client, templates, backend, settings, door, url, identity)


@contextmanager
def docker_backend(settings: DeploySettings) -> Iterator[DockerBackend]:
    """A backend of its own; its containers, network and rules are gone afterwards."""
    backend = make_backend(settings)
    assert isinstance(backend, DockerBackend)
    try:
        yield backend
    finally:
        remove_all(settings.docker_url, instance_id(settings.home))
        backend.close()


def remove_all(docker_url: str, home: str) -> None:
    """Removes the containers of one suite."""
    api = docker.APIClient(base_url=docker_url, timeout=60)
    try:
        for each in api.containers(all=True, filters={"label": [f"org.binder.home={home}"]}):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_container(each["Id"], v=True, force=True)
    finally:
        api.close()


def new_id() -> str:
    """An id as the service makes them."""
    return uuid.uuid4().hex
