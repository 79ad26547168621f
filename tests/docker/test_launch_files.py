"""How an application is launched: what a build registers of binder.toml and the rest, and that it answers so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import docker
import httpx2
import pytest

from binder_protocol.models import Limits, Template, TemplateSpec
from tests.support.building import Suite, build_suite
from tests.support.cases import cases
from tests.support.deploying import Deployment, deployment
from tests.support.git_server import GitServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

Build = Callable[[str], Template]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home"), max_memory="512M") as suite:
        yield suite


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("deploy")) as made:
        yield made


@pytest.fixture(scope="module")
def build(suite: Suite, git: GitServer) -> Iterator[Build]:
    """Builds a case of `tests/repos`; its template as it is registered."""
    known = {case.name: case for case in cases()}
    images = set()

    def built(name: str) -> Template:
        files = {path: content for path, (content, _) in known[name].files("").items()}
        done = suite.completed(git.create(f"launch/{name}", files).url, within=240)
        images.add(done.image)
        assert done.template is not None
        return suite.client.registry.fetch(done.template)

    yield built
    engine = docker.from_env()
    for image in images:
        engine.images.remove(image, force=True)
    engine.close()


def _open(deployed: Deployment, template: Template, path: str = "") -> httpx2.Response:
    """What a browser gets at the application's own address, after its start."""
    deployed.templates.known[template.name] = template
    application = deployed.launch(template.name)
    try:
        address, _, query = application.location.partition("?")
        with httpx2.Client(follow_redirects=True, timeout=30, headers={"Accept": "text/html"}) as browser:
            assert browser.get(f"{address}{path}").status_code in (401, 403)
            return browser.get(f"{address}{path}?{query}")
    finally:
        deployed.client.deploy.stop(template.name, application.id)


def test_binder_toml_decides_the_template_and_the_application_answers_so(build: Build, deployed: Deployment) -> None:
    template = build("binder-toml")
    assert template.port == 9000
    assert template.command == ["python", "-m", "http.server", "{port}", "--directory", "pages"]
    assert template.health_path == "/index.html"
    assert template.limits == Limits(memory="256M", cpu="0.5")
    assert template.environment == {}
    assert template.strip_prefix
    assert not template.login
    seen = _open(deployed, template, "index.html")
    assert (seen.status_code, seen.text) == (200, "hello\n")


def test_a_procfile_is_launched_behind_the_guard(build: Build, deployed: Deployment) -> None:
    template = build("procfile")
    assert template.command is None
    assert (template.port, template.strip_prefix, template.login) == (8888, True, False)
    seen = _open(deployed, template, "index.html")
    assert (seen.status_code, seen.text) == (200, "hello\n")


def test_what_a_start_puts_in_jupyters_place_is_behind_the_guard(build: Build, deployed: Deployment) -> None:
    template = build("start-own-server")
    assert not template.login
    assert _open(deployed, template).status_code == 404  # it knows nothing of its base path


def test_a_node_project_is_launched_by_its_start_script(build: Build, deployed: Deployment) -> None:
    template = build("node-npm")
    assert template.command is None
    assert template.strip_prefix
    seen = _open(deployed, template)
    assert (seen.status_code, seen.text) == (200, "built: true")


def test_a_dev_container_answers_at_the_port_that_it_forwards(build: Build, deployed: Deployment) -> None:
    template = build("devcontainer-dockerfile")
    assert (template.port, template.strip_prefix) == (9300, True)
    assert _open(deployed, template).status_code == 200


def test_a_dockerfile_says_its_port_by_a_variable_and_keeps_its_path(build: Build) -> None:
    template = build("dockerfile-args")
    assert (template.port, template.strip_prefix) == (9200, False)


def test_a_repository_of_2016_opens_jupyterlab(build: Build, deployed: Deployment) -> None:
    template = build("dockerfile-2016")
    assert template.login
    seen = _open(deployed, template, "api/contents/index.ipynb")
    assert seen.status_code == 200


def test_an_operators_limit_outlives_a_build_and_what_the_repository_wishes_is_clipped(
    suite: Suite, git: GitServer
) -> None:
    repository = git.create("launch/limits", {"binder.toml": b'memory = "2G"\ncpu = 1\n'})
    images = [suite.completed(repository.url).image]
    name = suite.client.build.status_all()[0].template
    assert name is not None
    template = suite.client.registry.fetch(name)
    assert template.limits == Limits(memory="512M", cpu="1")
    changed = TemplateSpec.model_validate(
        {**template.model_dump(include=set(TemplateSpec.model_fields)), "limits": {"memory": "1G", "cpu": "1"}}
    )
    suite.client.registry.register(changed)
    repository.commit({"binder.toml": b'memory = "256M"\ncpu = 2\n'})
    images.append(suite.completed(repository.url).image)
    assert suite.client.registry.fetch(name).limits == Limits(memory="1G", cpu="2")
    engine = docker.from_env()
    for image in images:
        engine.images.remove(image, force=True)
    engine.close()
