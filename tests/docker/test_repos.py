"""Every repository of `tests/repos`: built by the service as it is, then asked by its own `verify` in its own image."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import docker
import pytest

from binder_protocol.models import Build, BuildStatus
from tests.support.building import Suite, build_suite
from tests.support.cases import Case, cases
from tests.support.git_server import GitServer
from tests.support.stub_host import ADDRESS, served, stub_address
from tests.support.stubs import STUBS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stub() -> Iterator[str]:
    with stub_address() as address:
        yield address


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return cache(lambda name: STUBS[name](tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home")) as suite:
        yield suite


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in cases()])
def test_a_repository(
    case: Case,
    git: GitServer,
    suite: Suite,
    engine: docker.DockerClient,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    with ExitStack() as stack:
        address, directory = "", None
        if case.stub:
            request.getfixturevalue("stub")
            made = request.getfixturevalue("stubs")(case.stub) if isinstance(case.stub, str) else None
            directory = made or case.directory.with_suffix(".stub")
            address = stack.enter_context(served(directory, ADDRESS))
        if case.settings:
            given = {name: _filled(value, address) for name, value in case.settings.items()}
            suite = stack.enter_context(build_suite(tmp_path, **given))
        url = _publish(case, git, address, directory)
        build = _built(suite, case, url)
        text = "\n".join(line.text for line in suite.log(build))
        if case.log and "nothing is installed" in text:
            # An earlier run left the environment; what its installation says is looked for in one.
            build = _built(suite, case, url, force=True)
            text = "\n".join(line.text for line in suite.log(build))
        for pattern in case.log:
            assert re.search(pattern, text), f"{pattern!r} is not in the log:\n{text[-4000:]}"
        if case.fails is not None:
            _check_failure(build, case, text)
            return
        assert build.status is BuildStatus.COMPLETED, f"{build.failure}\n{text[-4000:]}"
        assert case.buildpack in (None, build.buildpack)
        stack.callback(engine.images.remove, build.image, force=True)
        _verify(build, case)


def _publish(case: Case, git: GitServer, stub: str, served: Path | None) -> str:
    repository = git.create(f"repos/{case.name}-{uuid.uuid4().hex[:6]}")
    for name, (content, mode) in case.files(stub, served).items():
        place = repository.work / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if mode == 0o120000:
            place.symlink_to(content.decode())
        else:
            place.write_bytes(content)
            place.chmod(mode)
    repository.commit({})
    return repository.url


def _built(suite: Suite, case: Case, url: str, *, force: bool = False) -> Build:
    started = suite.client.build.start(url, subdir=case.subdir, force=force, **case.options)
    return started if started.status.ended else suite.ended(started.name, case.timeout)


def _check_failure(build: Build, case: Case, log: str) -> None:
    assert build.status is BuildStatus.FAILED, log[-4000:]
    assert build.failure is not None
    assert build.failure.type == case.fails, f"{build.failure}\n{log[-4000:]}"
    said = "\n".join([build.failure.message, *build.failure.log, *build.failure.suggestions])
    assert build.failure.suggestions
    for pattern in case.says:
        assert re.search(pattern, said), f"{pattern!r} is not in what the failure says:\n{said}"


def _verify(build: Build, case: Case) -> None:
    directory = f"{case.subdir}/" if case.subdir and (case.directory / case.subdir / "verify").exists() else ""
    assert (case.directory / directory / "verify").exists(), "the case has no verify"
    command = ["docker", "run", "--rm", "--network", "none", str(build.image), "./verify"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def _filled(value: object, stub: str) -> object:
    return value.replace("{stub}", stub) if isinstance(value, str) else value
