"""What is known of an image: its lock, its bill of materials, its dates; and environments shared by a registry."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from binder_protocol.errors import NoBuildInfo
from binder_protocol.models import Build
from binder_protocol.service.app import version
from tests.support.building import Suite, build_suite
from tests.support.git_server import GitServer
from tests.support.image_registry import ImageRegistry, image_registry

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

NONCE = secrets.token_hex(6)
PACKAGE = """[project]
name = "own-thing"
version = "3.1"
dependencies = ["tinynetrc==1.3.1"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient) -> Iterator[Suite]:
    with tidy_suite(tmp_path_factory.mktemp("home"), engine) as suite:
        yield suite


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with image_registry(tmp_path_factory.mktemp("registry") / "images") as registry:
        yield registry


@contextmanager
def tidy_suite(home: Path, engine: docker.DockerClient, **settings: object) -> Iterator[Suite]:
    """A suite whose images go with it."""
    with build_suite(home, **settings) as suite:
        yield suite
        for build in suite.client.build.status_all():
            remove_images(engine, build)


def remove_images(engine: docker.DockerClient, build: Build) -> None:
    """The build's, and its environment's."""
    for image in engine.images.list(filters={"label": f"org.binder.name={build.name}"}):
        environment = image.labels.get("org.binder.environment")
        engine.images.remove(image.id, force=True)
        for each in engine.images.list(f"binder/environment:{environment}"):
            engine.images.remove(each.id, force=True)


def labels(engine: docker.DockerClient, build: Build) -> dict[str, str]:
    return dict(engine.images.get(str(build.image)).labels)


def digest(packages: list[str]) -> str:
    text = "".join(f"{each}\n" for each in packages)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_a_build_has_a_lock_which_its_label_stands_for_and_which_outlives_the_image(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/locked", {"requirements.txt": f"tinynetrc\n# {NONCE}\n"})
    build = suite.completed(source.url, within=240)
    lock = suite.client.build.lock(build.name)
    assert (lock.name, lock.attempt, lock.commit) == (build.name, 1, build.commit)
    assert any(each.startswith("tinynetrc==") for each in lock.packages)
    assert any(each.startswith("jupyterlab==") for each in lock.packages)
    command = ["cat", "/opt/binder/env/share/binder/lock.txt"]
    inside = engine.containers.run(str(build.image), command, remove=True, network_mode="none")
    assert lock.packages == inside.decode().splitlines()
    found = labels(engine, build)
    assert found["org.binder.lock"] == digest(lock.packages)
    assert found["org.binder.version"] == version()
    assert found["org.binder.base"].startswith("sha256:")
    assert not engine.containers.list(all=True, filters={"ancestor": str(build.image)}), "read without a trace"

    source.commit({"note.md": "changed"})
    remove_images(engine, build)
    assert suite.client.build.lock(build.name) == lock
    with pytest.raises(NoBuildInfo):
        suite.client.build.sbom(build.name)
    with pytest.raises(NoBuildInfo):
        suite.client.build.lock("no-such")


def test_the_lock_holds_the_project_that_its_contents_are_of(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/project", {"pyproject.toml": PACKAGE, "own_thing.py": f"# {NONCE}\n"})
    build = suite.completed(source.url, within=240)
    lock = suite.client.build.lock(build.name)
    assert "own-thing==3.1" in lock.packages
    assert "tinynetrc==1.3.1" in lock.packages
    assert labels(engine, build)["org.binder.lock"] == digest(lock.packages)
    assert build.image == suite.client.registry.fetch(build.name).image


def test_an_image_without_anything_of_its_own_has_the_lock_of_the_base(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    build = suite.completed(git.create("own/bare", {"index.ipynb": NONCE}).url)
    lock = suite.client.build.lock(build.name)
    assert any(each.startswith("jupyterlab==") for each in lock.packages)
    assert labels(engine, build)["org.binder.lock"] == digest(lock.packages)
    foreign = suite.completed(git.create("own/scratch", {"Dockerfile": f"FROM binder-base:latest\n# {NONCE}\n"}).url)
    with pytest.raises(NoBuildInfo, match="holds no lock"):
        suite.client.build.lock(foreign.name)
    assert "org.binder.lock" not in labels(engine, foreign)


def test_a_bill_of_materials_is_valid_names_what_is_installed_and_comes_with_the_image(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/bill", {"requirements.txt": f"tinynetrc==1.3.1\n# bill {NONCE}\n", "apt.txt": "tree\n"})
    build = suite.completed(source.url, within=240, sbom=True)
    document = suite.client.build.sbom(build.name).document
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    found = {each["purl"]: each["version"] for each in document["components"]}
    assert found["pkg:pypi/tinynetrc@1.3.1"] == "1.3.1"
    assert any(each.startswith("pkg:deb/debian/tree@") for each in found)
    assert any(each.startswith("pkg:deb/debian/libc6@") for each in found)
    command = ["cat", "/usr/local/share/binder/sbom.cdx.json"]
    inside = engine.containers.run(str(build.image), command, remove=True, network_mode="none")
    assert json.loads(inside) == document
    assert labels(engine, build)["org.binder.sbom"] == f"sha256:{hashlib.sha256(inside).hexdigest()}"
    described = document["metadata"]["component"]["bom-ref"]
    assert described.startswith("sha256:")
    named = {"dangling": True, "label": f"org.binder.name={build.name}"}
    assert not engine.images.list(all=True, filters=named), "the image that it was put on stays behind, without a name"
    again = suite.completed(source.url, sbom=True, force=False)
    assert again.cached
    assert suite.client.build.sbom(build.name).document == document


def test_a_commit_is_the_same_image_whenever_it_is_fetched(
    suite: Suite, git: GitServer, engine: docker.DockerClient, tmp_path: Path
) -> None:
    """As far as the engine goes: it keeps a layer for the same contents, and dates directories by the clock."""
    source = git.create("own/again", {"a/b.ipynb": NONCE, "run": f"#!/bin/sh\n# {NONCE}\n"})
    first = suite.completed(source.url)
    when = source.git("log", "-1", "--format=%ct")
    seen = engine.containers.run(
        str(first.image), ["stat", "-c", "%Y", "a/b.ipynb", "a", "run"], remove=True, network_mode="none"
    )
    assert seen.decode().split() == [when] * 3
    for image in engine.images.list(filters={"label": f"org.binder.name={first.name}"}):
        engine.images.remove(image.id, force=True)
    with build_suite(tmp_path / "other") as other:
        second = other.completed(source.url)
        assert (second.attempt, second.cached) == (1, False)
        assert second.image == first.image


@pytest.mark.registry
def test_a_second_host_takes_the_environment_from_the_registry(
    git: GitServer, engine: docker.DockerClient, registry: ImageRegistry, tmp_path: Path
) -> None:
    source = git.create("own/shared", {"requirements.txt": f"tinynetrc==1.3.1\n# registry {NONCE}\n"})
    prefix = f"{registry.address}/people"
    with tidy_suite(tmp_path / "one", engine, registry=prefix) as one:
        first = one.completed(source.url, within=240)
        assert "install requirements.txt" in {line.step for line in one.log(first)}
        assert registry.tags("people/environment") == [labels(engine, first)["org.binder.environment"]]
    assert not [each for each in engine.images.list() if any("people/environment" in tag for tag in each.tags)]

    with tidy_suite(tmp_path / "two", engine, registry=prefix) as two:
        second = two.completed(source.url)
        steps = {line.step for line in two.log(second)}
        assert "install requirements.txt" not in steps
        assert any("taken from the registry" in line.text for line in two.log(second))
        assert two.client.build.lock(second.name).packages

    registry.refused["/people/environment/"] = 500
    with tidy_suite(tmp_path / "three", engine, registry=prefix) as three:
        third = three.completed(source.url, within=240)
        assert any("environment is not shared" in line.text for line in three.log(third))
    registry.refused.clear()


@pytest.mark.registry
def test_a_second_host_takes_the_steps_of_an_own_dockerfile_from_the_registry(
    git: GitServer, engine: docker.DockerClient, registry: ImageRegistry, tmp_path: Path
) -> None:
    marker = f"cached-{NONCE}"
    text = f"FROM binder-base:latest\nRUN : {marker}; date +%s%N > /tmp/when\n"
    source = git.create("own/steps", {"Dockerfile": text})
    with tidy_suite(tmp_path / "one", engine, build_cache=f"{registry.address}/cache") as one:
        first = one.completed(source.url, within=240)
        when = engine.containers.run(str(first.image), ["cat", "/tmp/when"], remove=True, network_mode="none")
        assert registry.tags(f"cache/{first.name}") == ["cache"]
    forget_steps(marker)
    with tidy_suite(tmp_path / "two", engine, build_cache=f"{registry.address}/cache") as two:
        second = two.completed(source.url, within=240)
        log = two.log(second)
        told = [line.text for line in log]
        assert {line.status for line in log if marker in (line.step or "")} == {"started", "cached"}, told
        again = engine.containers.run(str(second.image), ["cat", "/tmp/when"], remove=True, network_mode="none")
        assert again == when


def forget_steps(marker: str) -> None:
    """The engine's cache of the steps whose command has `marker`, and of no other."""
    told = subprocess.run(["docker", "buildx", "du", "--verbose"], capture_output=True, text=True, check=True).stdout
    ids = [entry.split()[1] for entry in told.split("\n\n") if marker in entry]
    assert ids
    for each in ids:
        subprocess.run(["docker", "buildx", "prune", "-f", "--filter", f"id={each}"], capture_output=True, check=True)
