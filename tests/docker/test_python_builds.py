"""Python environments where something is wrong with the packages or their index, or where somebody means harm."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from binder_build.settings import BuildSettings
from binder_plan.python.uv import CACHE
from binder_protocol.models import Build, BuildStatus
from tests.support.building import Suite, build_suite
from tests.support.git_server import GitServer
from tests.support.stub_host import ADDRESS, served, stub_address

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

BASE = str(BuildSettings.model_fields["base_image"].default)
POISON = f"open('{CACHE}/POISONED', 'w').close()"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server of `web` holds."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def web(files: Path) -> Iterator[str]:
    with stub_address(), served(files, ADDRESS) as address:
        yield address


@pytest.fixture
def suites(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def built(suite: Suite, git: GitServer, files: dict[str, str | bytes]) -> Build:
    repository = git.create(f"python/{uuid.uuid4().hex[:8]}", files)
    started = suite.client.build.start(repository.url)
    return started if started.status.ended else suite.ended(started.name, 300)


def failed(build: Build, kind: str) -> str:
    """What the failure tells, all in one text."""
    assert build.status is BuildStatus.FAILED
    assert build.failure is not None
    assert build.failure.type == kind, build.failure
    assert build.failure.suggestions
    return "\n".join([build.failure.message, *build.failure.log, *build.failure.suggestions])


def wheel(place: Path, name: str, files: dict[str, str]) -> None:
    """A wheel of version 1.0 with these files."""
    info = f"{name}-1.0.dist-info"
    everything = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "".join(f"{each},,\n" for each in files),
    }
    with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in everything.items():
            archive.writestr(path, text)


def sdist(place: Path, name: str, setup: str) -> None:
    """A source distribution of version 1.0, whose setup.py is `setup`."""
    facts = f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n"
    with tarfile.open(place / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in {"setup.py": setup, "PKG-INFO": facts}.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


def in_shared_cache(command: str) -> str:
    """What `command` says in a build step that has the cache of all builds' wheels."""
    mount = f"--mount=type=cache,id=binder-wheels,target={CACHE},uid=1000,gid=1000"
    text = f"FROM {BASE}\nRUN {mount} {command}\n"
    words = ["docker", "buildx", "build", "--progress=plain", "--no-cache", "-"]
    done = subprocess.run(words, input=text, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


BUILT = "poison-built @ {web}/poison_built-1.0.tar.gz\n"
HOSTILE_SETTINGS = """
[project]
name = "thing"
version = "1"
dependencies = ["poison-built @ {web}/poison_built-1.0.tar.gz"]

[tool.uv]
no-build = false
keyring-provider = "subprocess"
cache-dir = "/tmp/uv-cache/elsewhere"
"""


@pytest.mark.parametrize(
    "repository",
    [
        {"requirements.txt": BUILT},
        {"requirements.txt": f"--no-binary :all:\n--only-binary :none:\nsix\n{BUILT}"},
        {"requirements.txt": "poison-wheel @ {web}/poison_wheel-1.0-py3-none-any.whl\n"},
        {"pyproject.toml": HOSTILE_SETTINGS},
    ],
    ids=["setup.py", "flags", ".pth", "settings"],
)
def test_nothing_of_a_repository_runs_where_all_builds_keep_their_wheels(
    repository: dict[str, str], git: GitServer, files: Path, web: str, tmp_path: Path, suites: ExitStack
) -> None:
    setup = f"{POISON}\nfrom setuptools import setup\nsetup(name='poison_built', version='1.0')\n"
    sdist(files, "poison_built", setup)
    wheel(files, "poison_wheel", {"poison.pth": f"import os; os.path.isdir('{CACHE}') and {POISON}\n"})
    suite = suites.enter_context(build_suite(tmp_path, allow_hosts=["127.0.0.1", "198.18.0.0/15"]))
    build = built(suite, git, {name: text.replace("{web}", web) for name, text in repository.items()})
    said = [line.text for line in suite.log(build)]
    assert build.status is BuildStatus.COMPLETED, "\n".join(said[-20:])
    suites.callback(subprocess.run, ["docker", "image", "rm", "--force", str(build.image)], capture_output=True)
    names = subprocess.run(
        ["docker", "run", "--rm", str(build.image), "cat", "/opt/binder/env/share/binder/lock.txt"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "poison" in names, "the package isn't there: nothing was tried"
    assert "POISONED" not in in_shared_cache(f"find {CACHE} -name 'POI*'")


def test_an_index_that_is_down_is_said_to_be(git: GitServer, web: str, tmp_path: Path, suites: ExitStack) -> None:
    suite = suites.enter_context(build_suite(tmp_path, index_url=f"http://{ADDRESS}:9/simple"))
    said = failed(built(suite, git, {"requirements.txt": "six-that-is-not-there\n"}), "dependency-failed")
    assert "install requirements.txt" in said
    assert "the package server didn't answer" in said


def test_an_index_that_never_answers_is_given_up(git: GitServer, web: str, tmp_path: Path, suites: ExitStack) -> None:
    import socket

    with socket.create_server((ADDRESS, 0)) as silent:
        index = f"http://{ADDRESS}:{silent.getsockname()[1]}/simple"
        suite = suites.enter_context(build_suite(tmp_path, index_url=index, build_seconds=8))
        build = built(suite, git, {"requirements.txt": "six-that-is-not-there\n"})
    said = failed(build, "timeout")
    assert "8 s" in said
    assert build.failure is not None
    assert build.failure.step == "install requirements.txt"


@pytest.mark.parametrize("lie", ["no wheel at all", "another package"])
def test_an_index_that_lies_installs_nothing(
    lie: str, git: GitServer, files: Path, web: str, tmp_path: Path, suites: ExitStack
) -> None:
    page = files / "simple" / "liar-of-tests"
    page.mkdir(parents=True, exist_ok=True)
    name = "liar_of_tests-1.0-py3-none-any.whl"
    wheel(page, "another", {})
    content = b"not a wheel" if lie == "no wheel at all" else (page / "another-1.0-py3-none-any.whl").read_bytes()
    (page / name).write_bytes(content)
    (page / "index.html").write_text(f'<html><body><a href="{name}">{name}</a></body></html>')
    suite = suites.enter_context(build_suite(tmp_path, index_url=f"{web}/simple"))
    said = failed(built(suite, git, {"requirements.txt": "liar-of-tests\n"}), "dependency-failed")
    assert "liar" in said


def test_another_python_comes_with_jupyterlab(
    git: GitServer, files: Path, web: str, tmp_path: Path, suites: ExitStack
) -> None:
    """The mirror is a stub; the Python that it serves is the one that runs this test."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == "3.13":
        pytest.skip("the base image's Python is this one")
    _serve_this_python(files, web)
    suite = suites.enter_context(build_suite(tmp_path, python_downloads=f"{web}/pythons.json"))
    build = built(suite, git, {"runtime.txt": f"python-{version}\n", "requirements.txt": "iniconfig==2.0.0\n"})
    said = [line.text for line in suite.log(build)]
    assert build.status is BuildStatus.COMPLETED, "\n".join(said[-20:])
    suites.callback(subprocess.run, ["docker", "image", "rm", "--force", str(build.image)], capture_output=True)
    script = (
        f"import sys, iniconfig, jupyterlab, ipykernel; assert sys.version_info[:2] == {sys.version_info[:2]}; "
        "import shutil, os; assert shutil.which('jupyter') == sys.prefix + '/bin/jupyter'; "
        "assert os.environ['VIRTUAL_ENV'] == sys.prefix"
    )
    words = ["docker", "run", "--rm", "--network=none", str(build.image), "sh", "-c"]
    command = f'python -c "{script}" && jupyter lab --version && jupyter server --show-config'
    done = subprocess.run([*words, command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "port_retries = 0" in done.stdout, "the base image's settings of Jupyter are lost"


def _serve_this_python(files: Path, web: str) -> None:
    import json
    import platform

    program = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = ("site-packages", "__pycache__", "/test", ".a", "idlelib", "/share", program)
    with tarfile.open(files / "python.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(
            sys.base_prefix,
            arcname="python",
            filter=lambda entry: None if entry.name.endswith(unneeded) else entry,
        )
        content = _relocated((Path(sys.base_prefix) / program).read_bytes())
        entry = tarfile.TarInfo(f"python/{program}")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    major, minor, patch = sys.version_info[:3]
    facts = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{web}/python.tar.gz",
        "sha256": None,
        "variant": None,
        "build": "20240101",
    }
    key = f"cpython-{major}.{minor}.{patch}-linux-{platform.machine()}-gnu"
    (files / "pythons.json").write_text(json.dumps({key: facts}))


def _relocated(program: bytes) -> bytes:
    """Where the program finds its own shared library by a path, it finds it beside itself."""
    path = f"{sys.base_prefix}/lib\0".encode()
    return program.replace(path, b"$ORIGIN/../lib\0".ljust(len(path), b"\0"))
