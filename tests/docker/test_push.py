"""Images pushed to a real registry: launched from there, and nothing half done where a push ends early."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from binder_build.images.engine_images import Images
from binder_protocol.errors import DoesNotExist, EngineError
from binder_protocol.models import Build, BuildStatus
from tests.support.building import Suite, build_suite
from tests.support.deploying import SERVER, deployment, python
from tests.support.eventually import eventually
from tests.support.git_server import GitServer
from tests.support.image_registry import LOGIN, ImageRegistry, image_registry
from tests.support.raw_http import exchange

pytestmark = [pytest.mark.docker, pytest.mark.registry, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with image_registry(tmp_path_factory.mktemp("registry") / "images") as registry:
        yield registry


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory, registry: ImageRegistry, engine: docker.DockerClient
) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home"), registry=f"{registry.address}/people") as suite:
        yield suite
        for build in suite.client.build.status_all():
            for image in images_of(engine, build):
                engine.images.remove(image, force=True)


@pytest.fixture(autouse=True)
def registry_as_new(registry: ImageRegistry) -> Iterator[None]:
    yield
    registry.bytes_per_second = None
    registry.refused.clear()


def images_of(engine: docker.DockerClient, build: Build) -> list[str]:
    return [str(image.id) for image in engine.images.list(filters={"label": f"org.binder.name={build.name}"})]


def tag_of(build: Build) -> str:
    assert build.commit is not None
    return build.commit[:12]


def test_a_pushed_image_is_launched_by_its_digest_where_there_is_no_copy_of_it(
    suite: Suite, registry: ImageRegistry, git: GitServer, engine: docker.DockerClient, tmp_path: Path
) -> None:
    source = git.create("own/pushed", {"Dockerfile": "FROM binder-base:latest\nRUN date +%s%N > /tmp/when\n"})
    build = suite.completed(source.url)
    assert [each.phase for each in build.timings] == ["fetching", "planning", "building", "pushing", "registering"]
    template = suite.client.registry.fetch(build.name)
    repository, _, digest = template.image.partition("@")
    assert (repository, digest[:7]) == (f"{registry.address}/people/{build.name}", "sha256:")
    assert registry.tags(f"people/{build.name}") == [tag_of(build)]
    assert suite.client.build.start(source.url).cached

    for image in images_of(engine, build):
        engine.images.remove(image, force=True)
    with deployment(tmp_path) as deployed:
        deployed.templates.add("pushed", image=template.image, command=python(SERVER))
        application = deployed.launch("pushed")
        with urllib.request.urlopen(application.location, timeout=10) as reply:
            assert reply.status == 200
        deployed.client.deploy.stop("pushed", application.id)
    assert engine.images.get(template.image).attrs["RepoDigests"] == [template.image]


def test_a_push_that_is_cancelled_ends_within_five_seconds_and_leaves_nothing(
    suite: Suite, registry: ImageRegistry, git: GitServer, engine: docker.DockerClient
) -> None:
    content = "FROM binder-base:latest\nRUN head -c 20000000 /dev/urandom > /tmp/data\n"
    source = git.create("own/cancelled", {"Dockerfile": content})
    registry.bytes_per_second = 500_000
    name = suite.client.build.start(source.url).name
    eventually(lambda: registry.unfinished() > 100_000, within=60, what="the push")
    began = time.monotonic()
    build = suite.client.build.cancel(name)
    assert time.monotonic() - began < 5
    assert (build.status, build.phase) == (BuildStatus.CANCELLED, "finished")
    assert [each.phase for each in build.timings][-1] == "pushing"
    assert images_of(engine, build) == []
    assert suite.leftovers() == []
    with pytest.raises(DoesNotExist):
        suite.client.registry.fetch(name)
    registry.bytes_per_second = None  # what the proxy still holds of the upload
    eventually(lambda: registry.open == 0, within=10, what="the end of the engine's upload")
    assert registry.tags(f"people/{name}") == []

    assert exchange(suite.url, "GET", "/readyz").status == 200
    again = suite.completed(source.url)
    assert registry.tags(f"people/{name}") == [tag_of(again)]


def test_a_registry_that_fails_for_a_moment_is_tried_again_and_the_log_says_so(
    suite: Suite, registry: ImageRegistry, git: GitServer
) -> None:
    source = git.create("own/moment", {"Dockerfile": "FROM binder-base:latest\nRUN date +%s%N > /tmp/when\n"})
    registry.refused["/blobs/"] = 500
    name = suite.client.build.start(source.url).name
    notes = "the engine tries again"
    eventually(lambda: any(notes in (line.text or "") for line in suite.client.build.logs(name)), within=60, every=0.2)
    registry.refused.clear()
    build = suite.ended(name)
    assert build.status is BuildStatus.COMPLETED
    assert sum(notes in (line.text or "") for line in suite.log(build)) == 1


# The engine tries the upload of a layer again for most of a minute; that of the manifest it doesn't.
@pytest.mark.parametrize(("status", "path"), [(401, "/v2/"), (500, "/manifests/")])
def test_a_registry_that_refuses_fails_the_build_and_leaves_the_good_template(
    suite: Suite, registry: ImageRegistry, git: GitServer, engine: docker.DockerClient, status: int, path: str
) -> None:
    source = git.create(f"own/refused-{status}", {"Dockerfile": "FROM binder-base:latest\n"})
    good = suite.completed(source.url)
    template = suite.client.registry.fetch(good.name)
    kept = images_of(engine, good)
    source.commit({"changed": "1"})
    registry.refused[path] = status
    bad = suite.ended(suite.client.build.start(source.url).name)
    assert bad.failure is not None
    assert bad.failure.type == EngineError.type
    assert bad.failure.message.startswith("the image could not be pushed: ")
    assert bad.failure.step == f"push {registry.address}/people/{bad.name}:{tag_of(bad)}"
    assert bad.failure.log
    assert "docker login" in bad.failure.suggestions[0]
    assert suite.client.registry.fetch(good.name) == template
    assert images_of(engine, good) == kept
    registry.refused.clear()
    assert registry.tags(f"people/{good.name}") == [tag_of(good)]


def test_a_registry_that_wants_a_login_takes_that_of_the_services_user(
    engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_engine: str
) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    images = Images(tmp_path / "work", host=docker_engine)
    with image_registry(tmp_path / "images", login=True) as registry:
        repository = f"{registry.address}/test/small"
        engine.api.import_image_from_data(archive.getvalue(), repository, "x")
        try:
            monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
            with pytest.raises(EngineError, match="could not be pushed"):
                images.push(f"{repository}:x")
            word = base64.b64encode(":".join(LOGIN).encode()).decode()
            (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": word}}}))
            assert images.push(f"{repository}:x").startswith(f"{repository}@sha256:")
        finally:
            images.remove(f"{repository}:x")
            images.close()
