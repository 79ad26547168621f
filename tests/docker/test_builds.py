"""Builds with a real git server, engine and registry."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from binder_build.pipeline import Pipeline
from binder_protocol.errors import DependencyFailed, DoesNotExist, RegistrationFailed
from binder_protocol.models import Build, BuildStatus, Placement, TemplateSpec
from binder_protocol.models.registry import Limits
from tests.support.building import Suite, build_suite
from tests.support.eventually import eventually
from tests.support.git_server import GitServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

NONCE = secrets.token_hex(6)
"""What an earlier run built is not there for this one."""
NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
SLOW = "FROM binder-base:latest\nRUN for i in $(seq 600); do echo tick $i; sleep 0.1; done\n"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home")) as suite:
        yield suite
        remove_images(suite, engine)


def remove_images(suite: Suite, engine: docker.DockerClient) -> None:
    for build in suite.client.build.status_all():
        for image in engine.images.list(filters={"label": f"org.binder.name={build.name}"}):
            environment = image.labels.get("org.binder.environment")
            engine.images.remove(image.id, force=True)
            for each in engine.images.list(f"binder/environment:{environment}"):
                engine.images.remove(each.tags[0], force=True)


def images_of(engine: docker.DockerClient, build: Build) -> list[str]:
    return [str(image.id) for image in engine.images.list(filters={"label": f"org.binder.name={build.name}"})]


def steps(suite: Suite, build: Build) -> dict[str | None, str | None]:
    """How each step of a build ended, as BuildKit's record has it."""
    ended = [line for line in suite.log(build) if line.kind == "step" and line.status != "started"]
    return {line.step: line.status for line in ended}


def unnamed(found: dict[str | None, str | None]) -> set[str | None]:
    """The steps of the builder's own."""
    return {step for step in found if step is not None and step.startswith(("exporting", "importing"))}


def test_a_repository_becomes_a_template_and_its_commit_is_built_once(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/dockerfile", {"Dockerfile": 'FROM binder-base:latest\nEXPOSE 8080\nCMD ["true"]\n'})
    build = suite.completed(source.url)
    template = suite.client.registry.fetch(build.name)
    assert build.commit == source.git("rev-parse", "HEAD")
    assert template.image == build.image == images_of(engine, build)[0]
    assert (template.port, template.login, template.labels["commit"]) == (8080, False, build.commit)
    assert [each.phase for each in build.timings] == ["fetching", "planning", "building", "registering"]
    assert all(each.seconds is not None for each in build.timings)
    assert suite.leftovers() == []

    began = time.monotonic()
    again = suite.client.build.start(source.url)
    took = time.monotonic() - began
    assert (again.status, again.cached, again.attempt) == (BuildStatus.COMPLETED, True, 1)
    assert took < 1, "the commit is answered from the record"

    lines = suite.log(build)
    assert [line.id for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1].kind == "end"
    assert lines[-1].status == "completed"
    assert [line.id for line in suite.client.build.logs(build.name, follow=True)] == [line.id for line in lines]


def test_a_commit_that_changes_a_notebook_runs_no_dependency_step_again(suite: Suite, git: GitServer) -> None:
    source = git.create("own/requirements", {"requirements.txt": f"tinynetrc==1.3.1\n# {NONCE}\n", "a.ipynb": NOTEBOOK})
    first = suite.completed(source.url, within=240)
    source.commit({"a.ipynb": NOTEBOOK.replace("[]", "[{}]", 1)})
    second = suite.completed(source.url)
    assert second.attempt == first.attempt + 1
    assert "install requirements.txt" in steps(suite, first)
    assert set(steps(suite, second)) == {"environment image", "copy the repository"} | unnamed(steps(suite, second))
    assert any("nothing is installed" in line.text for line in suite.log(second))
    template = suite.client.registry.fetch(second.name)
    assert (template.revision, template.image, template.login) == (2, second.image, True)


def test_repositories_of_one_environment_share_it(suite: Suite, git: GitServer) -> None:
    files = {"requirements.txt": f"tinynetrc==1.3.1\n# shared {NONCE}\n"}
    suite.completed(git.create("one/shared", files | {"a.ipynb": NOTEBOOK}).url, within=240)
    other = suite.completed(git.create("two/shared", files | {"b.ipynb": NOTEBOOK}).url)
    assert not [step for step in steps(suite, other) if step and "install" in step]
    assert any("nothing is installed" in line.text for line in suite.log(other))


def test_what_has_no_wheel_is_built_with_a_cache_of_the_repository_alone(suite: Suite, git: GitServer) -> None:
    files = {"requirements.txt": f"docopt==0.6.2\n# {NONCE}\n"}  # published as sources alone
    first = suite.completed(git.create("one/sources", files).url, within=240)
    assert any("has no wheel" in line.text for line in suite.log(first))
    second = suite.completed(git.create("two/sources", files).url, within=240)
    assert "install requirements.txt" in steps(suite, second), "another repository's environment is not trusted"
    assert not any("has no wheel" in line.text for line in suite.log(second)), "it is known by now"


def test_a_failed_build_says_why_and_leaves_the_good_template(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/failing", {"requirements.txt": ""})
    good = suite.completed(source.url)
    source.commit({"requirements.txt": "there-is-surely-no-such-package-2026==9.9\n"})
    started = suite.client.build.start(source.url)
    bad = suite.ended(started.name)
    assert bad.status is BuildStatus.FAILED
    assert bad.failure is not None
    assert bad.failure.type == DependencyFailed.type
    assert bad.error == bad.failure.message
    assert bad.failure.step
    assert any("there-is-surely-no-such-package-2026" in line for line in bad.failure.log)
    assert bad.failure.suggestions
    assert suite.client.registry.fetch(good.name).image == good.image
    assert images_of(engine, good) == [good.image]
    with pytest.raises(DependencyFailed):
        suite.client.build.wait(bad.name)
    assert [each.status for each in suite.client.build.history(good.name)] == [
        BuildStatus.FAILED,
        BuildStatus.COMPLETED,
    ]


def test_a_thousand_identical_requests_make_one_build(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/thousand", {"Dockerfile": "FROM binder-base:latest\nRUN sleep 5\n"})
    with ThreadPoolExecutor(16) as pool:
        builds = list(pool.map(lambda _: suite.client.build.start(source.url), range(1_000)))
    assert {(each.name, each.attempt) for each in builds} == {(builds[0].name, 1)}
    build = suite.ended(builds[0].name)
    assert build.status is BuildStatus.COMPLETED
    assert len(images_of(engine, build)) == 1


def test_cancelling_ends_a_running_build_within_five_seconds_and_leaves_nothing(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/slow", {"Dockerfile": SLOW})
    name = suite.client.build.start(source.url).name
    eventually(lambda: any("tick" in line.text for line in suite.client.build.logs(name)), within=60)
    began = time.monotonic()
    build = suite.client.build.cancel(name)
    assert time.monotonic() - began < 5
    assert build.status is BuildStatus.CANCELLED
    assert suite.leftovers() == []
    assert images_of(engine, build) == []
    with pytest.raises(DoesNotExist):
        suite.client.registry.fetch(name)
    assert suite.completed(git.create("own/after", {"README": ""}).url), "the worker is free again"


def test_an_image_removed_by_hand_is_not_answered_as_built(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/lost", {"Dockerfile": "FROM binder-base:latest\n"})
    first = suite.completed(source.url)
    assert first.image is not None
    engine.images.remove(first.image, force=True)
    second = suite.completed(source.url)
    assert (second.attempt, second.cached) == (2, False)
    assert second.image is not None
    assert engine.images.get(second.image)


def test_force_builds_anew_and_keeps_the_image_of_before(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/forced", {"Dockerfile": "FROM binder-base:latest\nRUN date +%s%N > /tmp/when\n"})
    first = suite.completed(source.url)
    second = suite.completed(source.url, force=True)
    assert (second.attempt, second.cached) == (2, False)
    assert first.image is not None
    assert engine.images.get(first.image), "an earlier revision of the template still starts"


def test_what_an_operator_set_on_a_template_survives_the_next_build(suite: Suite, git: GitServer) -> None:
    source = git.create("own/limits", {"Dockerfile": "FROM binder-base:latest\n"})
    build = suite.completed(source.url)
    assert build.image is not None
    placement = Placement(node_selector={"pool": "large"})
    spec = TemplateSpec(
        name=build.name, image=build.image, limits=Limits(memory="2Gi"), max_age=60_000, placement=placement
    )
    suite.client.registry.register(spec)
    source.commit({"new": "file"})
    suite.completed(source.url)
    template = suite.client.registry.fetch(build.name)
    assert (template.limits.memory, template.max_age, template.placement) == ("2Gi", 60_000, placement)


def test_a_registry_that_is_down_fails_the_build_and_the_next_one_takes_its_image(
    tmp_path: Path, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/unregistered", {"Dockerfile": "FROM binder-base:latest\n"})
    with build_suite(tmp_path, registry_url="http://127.0.0.1:9") as alone:
        bad = alone.ended(alone.client.build.start(source.url).name)
        assert bad.failure is not None
        assert bad.failure.type == RegistrationFailed.type
        assert images_of(engine, bad) == [bad.image]
    with build_suite(tmp_path) as suite:
        good = suite.completed(source.url)
        assert (good.cached, good.image) == (True, bad.image)
        assert [each.phase for each in good.timings] == ["registering"]
        assert suite.client.registry.fetch(good.name).image == bad.image
        remove_images(suite, engine)


def test_a_plan_says_what_would_be_built_and_builds_nothing(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    source = git.create("own/planned", {"requirements.txt": "six\n", "package.json": "{}\n"})
    plan = suite.client.build.plan(source.url)
    assert (plan.buildpack, plan.commit) == ("python", source.git("rev-parse", "HEAD"))
    assert "requirements.txt" in plan.files
    assert [each.path for each in plan.ignored] == ["package.json"]
    assert "requirements.txt" in plan.dockerfile
    assert suite.leftovers() == []
    assert engine.images.list(filters={"label": f"org.binder.name={plan.name}"}) == []
    began = time.monotonic()
    assert suite.client.build.plan(source.url) == plan
    assert time.monotonic() - began < 1
    assert plan.built is False


def test_nobody_waits_for_the_removal_of_a_builds_files(
    suite: Suite, git: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = threading.Event()
    clean = Pipeline.clean

    def slow(pipeline: Pipeline) -> None:
        removed.wait(30)
        clean(pipeline)

    monkeypatch.setattr(Pipeline, "clean", slow)
    build = suite.completed(git.create("own/many-files", {"index.ipynb": NOTEBOOK}).url)
    assert [line.status for line in suite.log(build)][-1] == "completed"
    (place,) = (suite.home / "build" / "work").iterdir()
    assert place.name.startswith(f"{build.name}-")
    removed.set()
    assert suite.leftovers() == []


def test_a_plan_says_what_is_there_already(suite: Suite, git: GitServer) -> None:
    source = git.create("own/ready", {"requirements.txt": f"six\n# {NONCE} ready\n"})
    before = suite.client.build.plan(source.url)
    assert (before.built, before.environment_ready) == (False, False)
    suite.completed(source.url)
    after = suite.client.build.plan(source.url)
    assert (after.built, after.environment_ready) == (True, True)
    source.commit({"a.ipynb": NOTEBOOK})
    changed = suite.client.build.plan(source.url)
    assert (changed.built, changed.environment_ready) == (False, True)
