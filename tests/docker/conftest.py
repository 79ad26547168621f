"""What tests of builds stand on: the engine, and a git server to build from."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.support.git_server import GitServer, git_server


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        yield server
