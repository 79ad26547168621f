"""The client of 2016, unmodified, as npm installs it, against the running suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from filelock import FileLock

from binder_client import Client
from tests.support.eventually import eventually
from tests.support.git_server import ServedRepository, git_server
from tests.support.suite import Suite, suite

pytestmark = [pytest.mark.npm, pytest.mark.docker, pytest.mark.timeout(300)]

CLIENT = "binder-client@1.0.3"
_LIBRARY = """
const client = require('binder-client')
const [section, operation, options] = JSON.parse(process.argv[1])
client[section][operation](options, (error, body) => {
  console.log(JSON.stringify(error ? {error: error.message} : {body: body}))
})
"""


@dataclass
class Running:
    """The suite, a repository that it can build, and the directory that holds the client of 2016."""

    suite: Suite
    repository: ServedRepository
    modules: Path

    def cli(self, *arguments: str, key: str | None = None) -> Any:
        """The JSON that a command of 2016 shows."""
        server = ["--host", "127.0.0.1", "--port", str(self.suite.ports["front-door"])]
        command = [
            "node",
            str(self.modules / ".bin" / "binder"),
            *arguments,
            "--api-key",
            key or self.suite.key,
            *server,
        ]
        done = self._node(command)
        assert "Error" not in done.stderr, done.stderr
        starts = [
            place for place in (done.stdout.find("{\n"), done.stdout.find("[\n"), done.stdout.find("[]")) if place >= 0
        ]
        assert starts, done.stdout
        return json.loads(done.stdout[min(starts) :])

    def library(self, section: str, operation: str, **options: str) -> dict[str, Any]:
        """What the library of 2016 hands to its caller."""
        server = {"host": "127.0.0.1", "port": str(self.suite.ports["front-door"]), "api-key": self.suite.key}
        given = {name.replace("_", "-"): value for name, value in options.items()}
        done = self._node(["node", "-e", _LIBRARY, json.dumps([section, operation, {**server, **given}])])
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _node(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            command,
            cwd=self.modules.parent,
            env={**kept, "NODE_OPTIONS": "--no-deprecation"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def client_of_2016() -> Path:
    """`node_modules` with the client, kept from one run to the next."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binder-tests"
    place = cache / CLIENT.replace("@", "-")
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "npm.lock", timeout=200):
        if not (place / "complete").exists():
            (place / "package.json").write_text('{"private": true}')
            npm = shutil.which("npm")
            assert npm
            command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", CLIENT]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=200, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
            (place / "complete").touch()
    return place / "node_modules"


@pytest.fixture(scope="module")
def running(client_of_2016: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("client-2016")
    with ExitStack() as stack:
        git = stack.enter_context(git_server(place / "git"))
        repository = git.create("owner/tiny", {"README.md": "# tiny\n"})
        tables = {"build": "allow-hosts = ['127.0.0.1']\n", "deploy": "public-launch = true\n"}
        found = stack.enter_context(suite(place / "home", **tables))
        started = found.control("start-all")
        assert started.returncode == 0, started.stderr
        yield Running(found, repository, client_of_2016)
        with Client(found.url, found.key) as client:
            for application in client.deploy.list().all():
                client.deploy.stop(application.template_name, application.id)
            remove_images([build.name for build in client.build.status_all().all()])


def remove_images(names: list[str]) -> None:
    """The images of these builds."""
    engine = docker.from_env()
    try:
        for name in names:
            for image in engine.images.list(filters={"label": f"org.binder.name={name}"}):
                engine.images.remove(str(image.id), force=True)
    finally:
        engine.close()


def test_every_step_of_2016_completes(running: Running) -> None:
    started = running.cli("build", "start", running.repository.url, "false")
    name = started["name"]
    assert started["repository"] == running.repository.url
    assert "start-time" in started

    def ended() -> Any:
        build = running.cli("build", "status", name)
        return build if build["status"] != "running" and build["status"] != "queued" else None

    build = eventually(ended, within=120, every=0.5, what="the build's end")
    assert (build["status"], build["phase"]) == ("completed", "finished"), build
    assert name in [each["name"] for each in running.cli("build", "status-all")]

    template = running.cli("registry", "fetch", name)
    assert template["name"] == template["image-name"] == name
    assert template["image-source"]
    assert name in [each["name"] for each in running.cli("registry", "fetch-all")]

    launched = running.cli("deploy", "deploy", name, "3600000")
    identity = launched["id"]

    def answering() -> Any:
        application = running.cli("deploy", "status", name, identity)
        assert application["status"] != "failed", application
        return application if application.get("location") else None

    application = eventually(answering, within=120, every=0.5, what="the application's location")
    assert application["template-name"] == name
    assert application["location"].startswith(running.suite.url)
    assert [each["id"] for each in running.cli("deploy", "status-all", name)] == [identity]

    assert running.cli("deploy", "preload", name)
    assert running.cli("deploy", "preload-status", name)["status"] == "completed"


def test_the_library_of_2016_gets_bodies_and_errors(running: Running) -> None:
    assert running.library("build", "statusAll")["body"] is not None
    assert running.library("registry", "fetchAll")["body"] is not None
    assert running.library("health", "status")["body"] is not None
    missing: list[Callable[[], dict[str, Any]]] = [
        lambda: running.library("build", "status", image_name="never-built"),
        lambda: running.library("registry", "fetch", template_name="never-built"),
        lambda: running.library("deploy", "status", template_name="never-built", id="none"),
    ]
    assert [list(each()) for each in missing] == [["error"]] * 3


def test_a_wrong_key_is_told_as_in_2016(running: Running) -> None:
    command = ["node", str(running.modules / ".bin" / "binder"), "build", "status-all", "--api-key", "wrong"]
    port = str(running.suite.ports["front-door"])
    done = subprocess.run(
        [*command, "--host", "127.0.0.1", "--port", port], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Error:" in done.stderr
    assert "Possible fix" in done.stderr
