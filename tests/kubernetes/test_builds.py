"""Builds without a Docker engine: pods of a cluster build and push to its registry, and it launches from there."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from binder_build.registry.builders import daemon_config
from binder_build.registry.pool import preference
from binder_build.sources.repository import parse_repository
from binder_protocol.errors import DoesNotExist, EngineError
from binder_protocol.models import Build, BuildStatus
from tests.cluster.layout import Layout
from tests.support import buildkit
from tests.support.building import Suite, build_suite
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.git_server import GitServer, git_server
from tests.support.raw_http import exchange

pytestmark = [pytest.mark.kubernetes, pytest.mark.docker, pytest.mark.timeout(1_500)]

REGISTRY = os.environ.get("TEST_POD_REGISTRY", Layout().registries["registry-pods"])
"""The cluster's registry, at an address that its pods reach, too."""
BASE = os.environ.get("BINDER_TEST_BASE", "binder-base:latest")
PODS = 2


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def builders(cluster: Cluster) -> Iterator[str]:
    """The namespace of the builders' pods; what they build is below that name in the registry."""
    with cluster.namespace("builds") as name:
        yield name


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """The builders' image, where pods find it."""
    if missing := buildkit.missing():
        pytest.skip(missing)
    with buildkit.made_image(BASE) as name:
        return REGISTRY + cluster.image(name).removeprefix(cluster.registry)


@contextmanager
def building(home: Path, cluster: Cluster, **more: Any) -> Iterator[Suite]:
    """A build service that finds no engine; `more` are settings of it."""
    base = REGISTRY + cluster.image(BASE).removeprefix(cluster.registry)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBECONFIG", str(cluster.kubeconfig))
        environment.setenv("DOCKER_HOST", "unix:///nowhere.sock")
        with build_suite(home, images="registry", registry_tls=False, base_image=base, **more) as suite:
            yield suite


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, builders: str, image: str) -> Iterator[Suite]:
    pods = {"builder_pods": PODS, "builder_namespace": builders, "builder_image": image}
    with building(tmp_path_factory.mktemp("home"), cluster, registry=f"{REGISTRY}/{builders}", **pods) as suite:
        yield suite


class Door(ThreadingHTTPServer):
    """Steps of a build wait at it: its first `closed` visitors get no answer before it is gone."""

    daemon_threads = True

    def __init__(self, address: str, closed: int) -> None:
        super().__init__((address, 0), _Visit)
        self.closed = closed
        self.visits = 0
        self.gone = threading.Event()

    @property
    def step(self) -> str:
        """A Dockerfile's step that waits."""
        url = f"http://{self.server_address[0]}:{self.server_address[1]}/"
        return f"FROM binder-base:latest\nRUN python3 -c \"import urllib.request; urllib.request.urlopen('{url}')\"\n"


class _Visit(BaseHTTPRequestHandler):
    server: Door

    def do_GET(self) -> None:
        self.server.visits += 1
        if self.server.visits <= self.server.closed:
            self.server.gone.wait()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def door(closed: int) -> Iterator[Door]:
    server = Door(Layout().address, closed)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.gone.set()
        server.shutdown()
        thread.join()
        server.server_close()


def texts(suite: Suite, build: Build) -> list[str]:
    return [f"{line.step or ''} {line.text or ''}".strip() for line in suite.log(build)]


def test_a_repository_is_built_by_a_pod_and_launched_from_the_registry(
    suite: Suite, git: GitServer, cluster: Cluster, builders: str, namespace: str
) -> None:
    source = git.create("own/pod", {"requirements.txt": "six==1.17.0\n", "a.ipynb": "{}"})
    build = suite.completed(source.url, within=300)
    template = suite.client.registry.fetch(build.name)
    place, _, digest = template.image.partition("@")
    assert (place, digest[:7]) == (f"{REGISTRY}/{builders}/{build.name}", "sha256:")
    assert template.port == 8888
    assert template.login
    assert "six==1.17.0" in suite.client.build.lock(build.name).packages
    assert "this engine" not in "\n".join(texts(suite, build))

    cluster.kubectl("run", "app", f"--namespace={namespace}", f"--image={template.image}", "--restart=Never")
    where = eventually(
        lambda: cluster.kubectl("get", "pod", "app", f"--namespace={namespace}", "-o=jsonpath={.status.podIP}"),
        within=60,
        every=0.2,
    )
    eventually(lambda: _answers(f"http://{where}:{template.port}/api"), within=60, every=0.2, what="JupyterLab")
    names = cluster.kubectl("exec", "app", f"--namespace={namespace}", "--", "ls").split()
    assert {"a.ipynb", "requirements.txt"} <= {*names}


def test_a_changed_notebook_reuses_the_environment(suite: Suite, git: GitServer) -> None:
    source = git.create("own/again", {"requirements.txt": "six==1.16.0\n", "a.ipynb": "{}"})
    first = suite.completed(source.url, within=300)
    assert any("install requirements.txt" in text for text in texts(suite, first))
    source.commit({"a.ipynb": '{"cells": []}'})
    second = suite.completed(source.url, within=300)
    said = texts(suite, second)
    assert any("is there already: nothing is installed" in text for text in said)
    assert not any("install requirements.txt" in text for text in said)
    assert second.image != first.image
    assert suite.client.build.start(source.url).cached


def test_a_build_whose_pod_is_killed_starts_over(suite: Suite, git: GitServer, cluster: Cluster, builders: str) -> None:
    with door(closed=1) as waiting:
        name = suite.client.build.start(git.create("own/killed", {"Dockerfile": waiting.step}).url).name
        eventually(lambda: waiting.visits == 1, within=200, what="the step")
        kill_builders(cluster, builders)
        build = suite.ended(name, within=300)
    assert build.status is BuildStatus.COMPLETED, (build.failure, texts(suite, build)[-20:])
    assert any("was lost" in text for text in texts(suite, build))
    assert suite.leftovers() == []


def test_a_build_that_loses_its_pod_twice_fails_and_says_why(
    suite: Suite, git: GitServer, cluster: Cluster, builders: str
) -> None:
    with door(closed=2) as waiting:
        name = suite.client.build.start(git.create("own/killed-twice", {"Dockerfile": waiting.step}).url).name
        for visit in (1, 2):
            eventually(lambda visit=visit: waiting.visits == visit, within=200, what=f"step {visit}")
            kill_builders(cluster, builders)
        build = suite.ended(name, within=200)
    assert build.status is BuildStatus.FAILED
    assert build.failure is not None
    assert build.failure.type == EngineError.type
    assert suite.leftovers() == []
    with pytest.raises(DoesNotExist):
        suite.client.registry.fetch(name)
    assert exchange(suite.url, "GET", "/readyz").status == 200


def test_a_buildkitd_that_listens_builds_as_well_and_one_that_is_gone_is_passed_over(
    git: GitServer, cluster: Cluster, namespace: str, image: str, tmp_path: Path
) -> None:
    config = daemon_config(REGISTRY.partition("/")[0], plain=True, ca=None)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "buildkitd"},
        "spec": {
            "containers": [
                {
                    "name": "buildkitd",
                    "image": image,
                    "command": ["sh", "-c", 'echo "$1" >/c.toml; exec buildkitd --config /c.toml --addr "$2"', "sh"],
                    "args": [config, "tcp://0.0.0.0:1234"],
                    "readinessProbe": {"tcpSocket": {"port": 1234}, "periodSeconds": 1},
                    "securityContext": {"privileged": True},
                }
            ]
        },
    }
    cluster.kubectl("create", f"--namespace={namespace}", "--filename=-", given=json.dumps(pod))
    cluster.kubectl(
        "wait", "pod/buildkitd", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=120s", within=130
    )
    where = cluster.kubectl("get", "pod", "buildkitd", f"--namespace={namespace}", "-o=jsonpath={.status.podIP}")
    addresses = [f"tcp://{where}:1234", f"tcp://{where}:1235"]
    with building(tmp_path, cluster, registry=f"{REGISTRY}/{namespace}", builders=addresses) as suite:
        sources = [git.create(f"own/{key}", {"Dockerfile": "FROM binder-base:latest\n"}) for key in "abcdef"]
        for source in sources:
            build = suite.completed(source.url, within=200)
            assert f"/{namespace}/" in str(build.image)
            first, _ = preference(["binder-remote-0", "binder-remote-1"], parse_repository(source.url).url)
            note = "the builder binder-remote-1 doesn't answer: binder-remote-0 takes its place"
            assert (note in texts(suite, build)) == (first == "binder-remote-1")


def kill_builders(cluster: Cluster, namespace: str) -> None:
    """As when their node goes: nobody knows which of them builds."""
    cluster.kubectl(
        "delete", "pods", "--all", "--force", "--grace-period=0", f"--namespace={namespace}", "--wait=false"
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return "version" in json.load(reply)
    except OSError:
        return False
