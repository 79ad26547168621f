"""Published source distributions, not made for these tests: each becomes a git repository, an image, an application."""

from __future__ import annotations

import json
import tarfile
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from pypi_simple import PyPISimple

from tests.support.git_server import GitServer, git_server
from tests.support.kernels import run_in_kernel
from tests.support.suite import Suite, suite

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Distribution:
    """A source distribution, why it was taken, and code that works where it was built rightly."""

    file: str
    buildpack_files: list[str]
    proof: str
    result: str


DISTRIBUTIONS = (
    Distribution(
        "nbclient-0.10.2.tar.gz",
        ["pyproject.toml"],
        "import nbclient; print(nbclient.__version__)",
        "0.10.2",
    ),
    Distribution(
        "lmfit-1.3.4.tar.gz",
        ["pyproject.toml"],
        "import lmfit, numpy as n\nx = n.arange(9.0)\nm = lmfit.models.LinearModel()\n"
        "print(round(m.fit(2 * x + 1, x=x, slope=1, intercept=0).params['slope'].value, 6))",
        "2.0",
    ),
    Distribution(
        "thebeat-0.3.0.tar.gz",
        [".binder/requirements.txt"],
        "import ctypes.util, abjad, sphinx, thebeat\n"
        "print(thebeat.Sequence.generate_isochronous(4, 500).onsets.tolist(), ctypes.util.find_library('portaudio'))",
        "[0.0, 500.0, 1000.0, 1500.0] libportaudio.so.2",
    ),
)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def running_suite(repositories: GitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    host = urllib.parse.urlsplit(repositories.url).netloc
    with suite(tmp_path_factory.mktemp("home"), build=f"allow-hosts = ['{host}']\nmanaged-pythons = false\n") as found:
        prepared = found.control("setup", timeout=300)
        assert prepared.returncode == 0, prepared.stderr
        started = found.control("start-all")
        assert started.returncode == 0, started.stderr
        yield found
        found.control("stop-all", "--applications")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.file)
def test_a_published_package_builds_and_runs(
    distribution: Distribution, repositories: GitServer, running_suite: Suite, tmp_path: Path
) -> None:
    name = distribution.file.removesuffix(".tar.gz")
    repository = repositories.create(f"published/{name}")
    _extract(_download(distribution.file, tmp_path), repository.work)
    repository.git("add", "--all", "--force")
    repository.git("commit", "--quiet", "--message", name)
    repository.publish()

    plan = json.loads(_done(running_suite, "plan", repository.url, "--json"))
    assert (plan["buildpack"], plan["files"][: len(distribution.buildpack_files)]) == (
        "python",
        distribution.buildpack_files,
    )
    location = _done(running_suite, "launch", repository.url).strip().splitlines()[-1]
    assert httpx2.get(location, follow_redirects=True, timeout=30).status_code == 200
    assert run_in_kernel(location, distribution.proof) == distribution.result


def _done(running: Suite, *arguments: str) -> str:
    done = running.client(*arguments, timeout=800)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


def _download(file: str, into: Path) -> Path:
    """The distribution of that name, from the machine's package index, with its hash checked."""
    with PyPISimple() as index:
        page = index.get_project_page(file.rpartition("-")[0], timeout=60)
        found = next(package for package in page.packages if package.filename == file)
        index.download_package(found, into / file, timeout=60)
    return into / file


def _extract(archive: Path, into: Path) -> None:
    """The files of an sdist without the directory that holds them all."""
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            member.name = member.name.partition("/")[2]
            if member.name:
                opened.extract(member, into, filter="data")
