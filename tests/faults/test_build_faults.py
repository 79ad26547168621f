"""The build service when things go wrong in the middle: killed, cancelled, without a registry, without a disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from binder_protocol.errors import Interrupted
from binder_protocol.models import Build, BuildPhase, BuildStatus
from tests.support.building import BuildProcess, Suite, build_process, build_suite, left_in, registry, silent_server
from tests.support.engine import engine_program
from tests.support.eventually import eventually
from tests.support.git_server import GitServer, git_server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

QUICK = "FROM binder-base:latest\n"
PHASES = [BuildPhase.FETCHING, BuildPhase.BUILDING, BuildPhase.PUSHING, BuildPhase.REGISTERING]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    for image in client.images.list(filters={"label": "org.binder.name"}):
        if "/faults/" in image.labels.get("org.binder.repository", ""):
            client.images.remove(image.id, force=True)
    client.close()


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        yield server


def slow() -> str:
    """A Dockerfile that keeps the engine busy for some seconds, whatever it built before."""
    step = f"for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 0.5; done; echo {time.time_ns()}"
    return f"FROM binder-base:latest\nRUN {step}\n"


def images_of(engine: docker.DockerClient, name: str) -> list[str]:
    return [str(image.id) for image in engine.images.list(filters={"label": f"org.binder.name={name}"})]


def hung(phase: BuildPhase, nowhere: str, registry_url: str) -> dict[str, str]:
    """Settings with which a build stays in this phase."""
    stuck = {
        BuildPhase.PUSHING: {"registry": f"{nowhere}/own"},
        BuildPhase.REGISTERING: {"registry_url": f"http://{nowhere}"},
    }
    return {"registry_url": registry_url, "answer_seconds": "0.3"} | stuck.get(phase, {})


def arrived(service: BuildProcess | Suite, name: str, phase: BuildPhase) -> None:
    """Waits until the build is at work in that phase."""

    def there() -> bool:
        at_work = phase is not BuildPhase.BUILDING or "tick 1" in [
            line.text for line in service.client.build.logs(name)
        ]
        build = service.client.build.status(name)
        if build.status.ended:
            pytest.fail(f"{name} has {build.status} before it was {phase}: {build.failure}")
        return build.phase is phase and at_work

    eventually(there, within=60)


def ended(service: BuildProcess, name: str) -> Build:
    build = eventually(lambda: (b := service.client.build.status(name)).status.ended and b, within=60)
    assert isinstance(build, Build)
    return build


@pytest.mark.parametrize("phase", PHASES)
def test_a_service_killed_in_any_phase_takes_the_build_up_again(
    tmp_path: Path, git: GitServer, engine: docker.DockerClient, phase: BuildPhase
) -> None:
    source = git.create(f"faults/killed-{phase}", {"Dockerfile": slow() if phase is BuildPhase.BUILDING else QUICK})
    path = f"/faults/killed-{phase}.git"
    if phase is BuildPhase.FETCHING:
        git.hanging.add(path)
    with silent_server() as nowhere, registry(tmp_path / "r") as registry_url:
        with build_process(tmp_path / "b", **hung(phase, nowhere, registry_url)) as service:
            name = service.client.build.start(source.url).name
            arrived(service, name, phase)
            service.kill()
            eventually(lambda: service.children() == [], within=10, what="the end of the dead service's processes")
        git.hanging.discard(path)
        with build_process(tmp_path / "b", registry_url=registry_url) as service:
            build = ended(service, name)
            assert build.status is BuildStatus.COMPLETED, build.failure
            assert build.attempt == 1
            lines = list(service.client.build.logs(name))
            assert [line.id for line in lines] == list(range(1, len(lines) + 1))
            assert any("starts over" in line.text for line in lines)
            assert lines[-1].status == "completed"
            assert left_in(tmp_path / "b" / "build" / "work") == []
            assert service.client.registry.fetch(name).image == build.image
            assert images_of(engine, name) == [build.image]


def test_a_build_that_may_not_start_over_fails_with_the_reason(tmp_path: Path, git: GitServer) -> None:
    source = git.create("faults/no-restart", {"Dockerfile": slow()})
    with registry(tmp_path / "r") as registry_url:
        with build_process(tmp_path / "b", registry_url=registry_url) as service:
            name = service.client.build.start(source.url).name
            arrived(service, name, BuildPhase.BUILDING)
            service.kill()
        with build_process(tmp_path / "b", registry_url=registry_url, restarts=0) as service:
            build = ended(service, name)
            assert build.status is BuildStatus.FAILED
            assert build.failure is not None
            assert build.failure.type == Interrupted.type
            assert list(service.client.build.logs(name, follow=True))[-1].status == "failed"
            assert service.client.build.start(source.url).attempt == 2, "nothing holds up the next one"
            service.client.build.cancel(name)


def test_an_orderly_stop_leaves_the_build_to_the_next_start(tmp_path: Path, git: GitServer) -> None:
    source = git.create("faults/stopped", {"Dockerfile": slow()})
    with build_suite(tmp_path) as suite:
        name = suite.client.build.start(source.url).name
        arrived(suite, name, BuildPhase.BUILDING)
    with build_suite(tmp_path, restarts=0) as suite:
        assert suite.ended(name).status is BuildStatus.COMPLETED


@pytest.mark.parametrize("phase", PHASES)
def test_cancelling_in_any_phase_takes_less_than_five_seconds_and_leaves_nothing(
    tmp_path: Path, git: GitServer, engine: docker.DockerClient, phase: BuildPhase
) -> None:
    source = git.create(f"faults/cancelled-{phase}", {"Dockerfile": slow() if phase is BuildPhase.BUILDING else QUICK})
    path = f"/faults/cancelled-{phase}.git"
    if phase is BuildPhase.FETCHING:
        git.hanging.add(path)
    with silent_server() as nowhere, registry(tmp_path / "r") as registry_url:  # noqa: SIM117
        with build_process(tmp_path / "b", **hung(phase, nowhere, registry_url)) as service:
            name = service.client.build.start(source.url).name
            arrived(service, name, phase)
            began = time.monotonic()
            build = service.client.build.cancel(name)
            assert time.monotonic() - began < 5
            assert build.status is BuildStatus.CANCELLED
            if (
                phase is not BuildPhase.REGISTERING
            ):  # the registry may have taken the template, which has to have its image
                assert images_of(engine, name) == []
            assert left_in(tmp_path / "b" / "build" / "work") == []
            assert service.children() == []


def test_a_disk_that_runs_full_stops_builds_and_nothing_else(
    tmp_path: Path, git: GitServer, engine: docker.DockerClient
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    source = git.create("faults/full", {"Dockerfile": slow()})
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(disk)], check=True)
    try:
        with (
            registry(tmp_path / "r") as registry_url,
            build_process(disk / "b", registry_url=registry_url, lease_seconds=2) as service,
        ):
            name = service.client.build.start(source.url).name
            arrived(service, name, BuildPhase.BUILDING)
            filler = disk / "filler"
            with filler.open("wb") as file:
                while True:
                    try:
                        file.write(bytes(2**20))
                        file.flush()
                    except OSError:
                        break
            time.sleep(5)  # long enough for the build to come to its end without a disk
            assert service.client.build.status(name).name == name
            filler.unlink()
            build = ended(service, name)
            assert build.status in (BuildStatus.COMPLETED, BuildStatus.FAILED)
            assert build.failure is None or build.failure.suggestions
            again = service.client.build.start(source.url)
            assert again.status.ended or ended(service, name).status is BuildStatus.COMPLETED
            lines = list(service.client.build.logs(name))
            assert [line.id for line in lines] == list(range(1, len(lines) + 1))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_below_the_watermark_no_build_starts_and_old_images_go_first(
    tmp_path: Path, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("faults/watermark", {"Dockerfile": QUICK})
    with build_suite(tmp_path) as suite:
        old = suite.completed(source.url)
        source.commit({"more": "files"})
        new = suite.completed(source.url)
    source.commit({"even": "more"})
    with build_suite(tmp_path, min_free_bytes=2**60) as suite:
        refused = suite.ended(suite.client.build.start(source.url).name)
        assert refused.failure is not None
        assert refused.failure.type == "no-space"
        assert images_of(engine, old.name) == [new.image], "the newest good image of a name stays"
        assert suite.client.registry.fetch(new.name).image == new.image


def test_a_full_disk_costs_what_nobody_needs_and_nothing_else() -> None:
    if engine_program() is None:
        pytest.skip("docker: there is no program of the engine to start another one")
    # Its cache is emptied, so it is an engine of its own; and two don't get along in one network.
    command = ["unshare", "--net", "--", sys.executable, "-m", "tests.faults.full_disk"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = [line for line in done.stdout.splitlines() if "[" not in line]
    assert told == ["the cache is trimmed to its size", "what isn't needed is gone, and what runs or is new is there"]
