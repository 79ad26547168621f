"""Engines that tests need: absent ones skip by name on a laptop and fail where they are required."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support import cluster as kubernetes
from tests.support import helm, image_registry, ssh_server
from tests.support.postgres import Postgres, postgres_server
from tests.support.postgres import program as postgres_program

ENVIRONMENTS = pytest.StashKey[set[str]]()
ENGINES = ("docker", "browser", "npm", "registry", "sshd", "postgres", "kubernetes", "helm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require", default="", help=f"engines that must be there: {','.join(ENGINES)}")
    parser.addoption("--update-snapshots", action="store_true", help="write the expected files anew")


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    unknown = _required(config) - set(ENGINES)
    if unknown:
        raise pytest.UsageError(f"--require knows {', '.join(ENGINES)}, not {', '.join(sorted(unknown))}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a cluster come last: meanwhile it may still be compiled. Those marked `last` end their module."""
    first: dict[Path, int] = {}
    for number, item in enumerate(items):
        first.setdefault(item.path, number)

    def place(item: pytest.Item) -> tuple[bool, int, int]:
        last = item.get_closest_marker("last")
        return item.get_closest_marker("kubernetes") is not None, first[item.path], last.args[0] if last else 0

    items.sort(key=place)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remembers what environments were there before."""
    session.config.stash[ENVIRONMENTS] = _environments()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the cluster, where these tests started it.

    Builds share the images of environments, so that none of them removes its own; those of tests go once all are over.
    """
    if _found_cluster.cache_info().currsize:
        _found_cluster().stop()
    before = config.stash.get(ENVIRONMENTS, None)
    for image in sorted(_environments() - before) if before is not None else ():
        subprocess.run(["docker", "image", "rm", image], capture_output=True, timeout=60, check=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in ENGINES:
        if item.get_closest_marker(name) is None:
            continue
        missing = PROBES[name]()
        if missing and name in _required(item.config):
            pytest.fail(f"{name} is required: {missing}", pytrace=False)
        if missing:
            pytest.skip(f"{name}: {missing}")


@pytest.fixture
def docker_engine() -> str:
    """The address of the Docker engine that tests use; only for tests marked `docker`."""
    missing = _docker_missing()
    if missing:
        pytest.fail(f"mark this test with pytest.mark.docker: {missing}", pytrace=False)
    return _docker_host()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own; only for tests marked `postgres`."""
    if postgres_program("postgres") is None:
        pytest.fail("mark this test with pytest.mark.postgres", pytrace=False)
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Setting `database_url`: none, or an empty database on a server. What takes it is tested with either."""
    if request.param == "sqlite":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.new()


@pytest.fixture(scope="session")
def cluster() -> kubernetes.Cluster:
    """The Kubernetes cluster; only for tests marked `kubernetes`."""
    found = _found_cluster()
    if found.cluster is None:
        pytest.fail(f"mark this test with pytest.mark.kubernetes: {found.missing}", pytrace=False)
    return found.cluster


@pytest.fixture
def namespace(cluster: kubernetes.Cluster) -> Iterator[str]:
    """A namespace of this test alone, gone afterwards."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="session")
def helm_program() -> str:
    """Helm; only for tests marked `helm`."""
    missing = helm.missing()
    if missing:
        pytest.fail(f"mark this test with pytest.mark.helm: {missing}", pytrace=False)
    return helm.helm()


def _required(config: pytest.Config) -> set[str]:
    return {name for name in str(config.getoption("--require")).split(",") if name}


def _environments() -> set[str]:
    if _docker_missing():
        return set()
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "binder/environment"]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.split())


def _docker_host() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@functools.cache
def _docker_missing() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    command = ["docker", "-H", _docker_host(), "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return f"{_docker_host()} doesn't answer"
    return None if done.returncode == 0 else done.stderr.strip()[-200:]


@functools.cache
def _browser_missing() -> str | None:
    named = os.environ.get("BINDER_TEST_BROWSER")
    if named and Path(named).is_file():
        return None
    found = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return None if found else "there is no Chromium"


@functools.cache
def _npm_missing() -> str | None:
    absent = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"there is no {' and no '.join(absent)}" if absent else None


def _registry_missing() -> str | None:
    return None if shutil.which(image_registry.PROGRAM) else "there is no docker-registry (the package's name, too)"


def _sshd_missing() -> str | None:
    return None if ssh_server.program() else "there is no sshd (package openssh-server)"


def _postgres_missing() -> str | None:
    return None if postgres_program("postgres") else "there is no server's program (package postgresql)"


@functools.cache
def _found_cluster() -> kubernetes.Found:
    return kubernetes.find()


PROBES: dict[str, Callable[[], str | None]] = {
    "docker": _docker_missing,
    "browser": _browser_missing,
    "npm": _npm_missing,
    "registry": _registry_missing,
    "sshd": _sshd_missing,
    "postgres": _postgres_missing,
    "helm": helm.missing,
    "kubernetes": lambda: _found_cluster().missing or None,
}
