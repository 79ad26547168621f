"""Repositories of unusual size or shape: very many files, very large ones, and others inside them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import docker
import pytest

from binder_protocol.models import Build
from tests.support.building import Suite, build_suite
from tests.support.git_server import GitServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MIB = 2**20
LIMIT = 50 * MIB


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Takes what the defaults allow."""
    with build_suite(tmp_path_factory.mktemp("home")) as suite:
        yield suite


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Takes little."""
    with build_suite(tmp_path_factory.mktemp("narrow"), source_bytes=LIMIT, source_files=1_000) as suite:
        yield suite


@pytest.fixture(autouse=True)
def images(engine: docker.DockerClient) -> Iterator[list[Build]]:
    """Builds whose images are removed in the end."""
    made: list[Build] = []
    yield made
    for build in made:
        engine.images.remove(build.image, force=True)


def many_files(git: GitServer, name: str, count: int) -> str:
    repository = git.create(name)
    for number in range(count):
        place = repository.work / f"d{number // 1_000}" / f"{number}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"{number}\n")
    repository.commit({})
    return repository.url


def one_file(git: GitServer, name: str, size: int) -> str:
    """A repository with a file that has no block on this disk, and next to nothing in git."""
    repository = git.create(name)
    repository.git("config", "core.compression", "1")
    repository.git("config", "core.bigFileThreshold", "1m")
    with (repository.work / "large.bin").open("wb") as file:
        file.truncate(size)
    repository.commit({})
    return repository.url


def inside(build: Build, script: str) -> str:
    command = ["docker", "run", "--rm", "--network", "none", str(build.image), "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_thirty_thousand_files_are_built(suite: Suite, git: GitServer, images: list[Build]) -> None:
    url = many_files(git, "sizes/many", 30_000)
    build = suite.completed(url, within=300)
    images.append(build)
    assert inside(build, "find d* -type f -user jovyan | wc -l; cat d29/29999.txt").split() == ["30000", "29999"]


def test_too_many_files_are_refused(narrow: Suite, git: GitServer) -> None:
    url = many_files(git, "sizes/too-many", 1_001)
    build = narrow.ended(narrow.client.build.start(url).name)
    assert build.failure is not None
    assert build.failure.type == "source-too-large"
    assert "more files than this service takes (1000)" in build.failure.message


def refused_as_too_large(narrow: Suite, url: str) -> None:
    refused = narrow.ended(narrow.client.build.start(url).name)
    assert refused.failure is not None
    assert refused.failure.type == "source-too-large"
    assert "larger than 50 MiB" in refused.failure.message
    assert refused.failure.suggestions
    assert narrow.leftovers() == []


def test_a_file_of_500_megabytes_is_refused(narrow: Suite, git: GitServer) -> None:
    refused_as_too_large(narrow, one_file(git, "sizes/huge", 500 * MIB))


def test_a_large_file_is_refused_or_taken_by_the_limit(
    suite: Suite, narrow: Suite, git: GitServer, images: list[Build]
) -> None:
    url = one_file(git, "sizes/large", 60 * MIB)
    refused_as_too_large(narrow, url)
    taken = suite.completed(url)
    images.append(taken)
    assert inside(taken, "stat -c '%s %U' large.bin") == f"{60 * MIB} jovyan"


def test_submodules_are_in_the_image_when_asked_for(suite: Suite, git: GitServer, images: list[Build]) -> None:
    inner = git.create("sizes/inner", {"inner.txt": "of the submodule"})
    outer = git.create("sizes/outer", {"outer.txt": "of the repository"})
    outer.git("submodule", "--quiet", "add", inner.url, "a submodule")
    outer.commit({})

    without = suite.completed(outer.url)
    images.append(without)
    assert inside(without, 'cat outer.txt; ls -A "a submodule"') == "of the repository"
    assert any("option `submodules`" in line.text for line in suite.log(without))

    asked = suite.completed(outer.url, submodules=True)
    images.append(asked)
    assert asked.image != without.image
    assert inside(asked, 'cat "a submodule/inner.txt"') == "of the submodule"
    assert inside(asked, 'stat -c %U "a submodule/inner.txt"') == "jovyan"
