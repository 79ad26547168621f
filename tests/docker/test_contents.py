"""What an image holds is its own commit's alone, however much the builder knew of the files before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import docker
import pytest

from binder_protocol.models import Build, BuildStatus
from tests.support.building import Suite, build_suite
from tests.support.git_server import GitServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

DATE = "2026-01-15T12:00:00+00:00"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home")) as suite:
        yield suite
        for build in suite.client.build.status_all():
            for attempt in suite.client.build.history(build.name):
                if attempt.image:
                    engine.images.remove(attempt.image, force=True)


def inside(build: Build, script: str) -> str:
    command = ["docker", "run", "--rm", "--network", "none", str(build.image), "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@pytest.fixture
def of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits that nobody could tell apart by their dates."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", DATE)
    monkeypatch.setenv("GIT_AUTHOR_DATE", DATE)


@pytest.mark.usefixtures("of_one_moment")
def test_every_change_gets_into_the_image(suite: Suite, git: GitServer) -> None:
    repository = git.create(
        "contents/changes",
        {"same-size": "one", "mode": "text", "gone": "gone", "file": "a file", "folder/inner": "inner", "utf": "ab\n"},
    )
    (repository.work / "link").symlink_to("same-size")
    repository.commit({"target": "links"})
    first = suite.completed(repository.url)
    assert inside(first, "cat same-size link file folder/inner gone") == "oneonea fileinnergone"
    (repository.work / "link").unlink()
    (repository.work / "link").symlink_to("target")
    (repository.work / "file").unlink()
    (repository.work / "folder" / "inner").unlink()
    (repository.work / "folder").rmdir()
    (repository.work / "mode").chmod(0o755)
    repository.commit({"same-size": "two", "gone": None, "file/now": "a folder", "folder": "now a file"})
    second = suite.completed(repository.url)
    assert first.commit != second.commit
    script = "cat same-size; readlink link; cat file/now folder; stat -c ' %a' mode; ls gone 2>/dev/null || echo none"
    assert inside(second, script) == "twotarget\na foldernow a file 755\nnone"


@pytest.mark.usefixtures("of_one_moment")
def test_files_written_out_in_another_way_are_sent_again(suite: Suite, git: GitServer) -> None:
    """The same blob, as many bytes of it, in another encoding."""
    repository = git.create("contents/attributes", {"a.txt": "plain\n"})

    def built_in(encoding: str) -> Build:
        repository.index("100644", ".gitattributes", f"a.txt text working-tree-encoding={encoding}\n")
        repository.git("commit", "--quiet", "--message", encoding)
        repository.publish()
        return suite.completed(repository.url)

    first, second = built_in("UTF-16LE"), built_in("UTF-16BE")
    assert inside(first, "head -c 4 a.txt | od -An -tx1").split() == ["70", "00", "6c", "00"]
    assert inside(second, "head -c 4 a.txt | od -An -tx1").split() == ["00", "70", "00", "6c"]


def test_a_build_that_was_cut_short_leaves_nothing_to_the_next(suite: Suite, git: GitServer) -> None:
    repository = git.create("contents/cut", {"postBuild": "#!/bin/sh\nsleep 60\n", "secret.txt": "of the first"})
    started = suite.client.build.start(repository.url)
    suite.client.build.cancel(started.name)
    assert suite.ended(started.name).status is BuildStatus.CANCELLED
    repository.commit({"postBuild": "#!/bin/sh\nls >seen\n", "secret.txt": None, "own.txt": "of the second"})
    build = suite.completed(repository.url)
    assert inside(build, "ls *.txt; grep txt seen").split() == ["own.txt", "own.txt"]


def test_large_folders_have_a_layer_of_their_own(suite: Suite, git: GitServer, engine: docker.DockerClient) -> None:
    files = {f"data/{number}.txt": f"{number}\n" for number in range(600)}
    repository = git.create("contents/large", {**files, "data/.dockerignore": "1*\n", "index.ipynb": "{}"})
    first = suite.completed(repository.url)
    repository.commit({"index.ipynb": '{"a": 1}'})
    second = suite.completed(repository.url)
    repository.commit({"data/7.txt": "8\n", "index.ipynb": '{"a": 2}'})
    third = suite.completed(repository.url)
    layers = [engine.images.get(each.image).attrs["RootFS"]["Layers"] for each in (first, second, third)]
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-2] != layers[2][-2]
    script = "cat data/7.txt index.ipynb; find data -type f -user jovyan | wc -l; ls -A | grep -c large"
    assert inside(second, f"{script} || true").split("\n") == ["7", '{"a": 1}601', "0"]
    assert inside(third, f"{script} || true").split("\n") == ["8", '{"a": 2}601', "0"]
