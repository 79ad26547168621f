"""The registry as its callers see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from binder_build.templates import Templates
from binder_client.client import Client
from binder_protocol.errors import AccessError, Conflict, DoesNotExist, InvalidTemplate
from binder_protocol.models import Limits, Placement, Template, TemplateSpec, Toleration
from binder_registry.main import build_app
from binder_registry.settings import RegistrySettings
from tests.support.raw_http import Reply, exchange
from tests.support.server import running

KEY = "sesame"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[str]:
    settings = RegistrySettings.model_validate(
        {
            "home": tmp_path_factory.mktemp("home"),
            "api_key": KEY,
            "database_url": database_url,
            "max_memory": "64Gi",
            "max_cpu": "16",
            "max_pids": 1000,
            "max_disk": "1Ti",
        }
    )
    with running(build_app(settings)) as address:
        yield address


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A template's name that no other test uses."""
    return f"t-{abs(hash(request.node.nodeid)):x}"[:40]


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, KEY) as made:
        yield made


def call(url: str, method: str, target: str, body: Any = None, key: str | None = KEY) -> Reply:
    headers = [("Authorization", f"Bearer {key}")] if key else []
    if body is None:
        return exchange(url, method, target, headers=headers)
    return exchange(
        url, method, target, headers=[*headers, ("Content-Type", "application/json")], body=json.dumps(body).encode()
    )


def put(url: str, name: str, **fields: Any) -> Template:
    reply = call(url, "PUT", "/templates/", {"name": name, "image": "nginx"} | fields)
    assert reply.status == 200, reply.body
    return Template.model_validate(reply.json())


# revisions


def test_a_template_comes_back_as_it_was_registered(url: str, name: str) -> None:
    spec: dict[str, Any] = {
        "name": name,
        "image": f"registry.example:5000/binder/plot@{DIGEST}",
        "command": ["jupyter", "lab", "--ServerApp.base_url={base-path}", "--port={port}", "--token={token}"],
        "port": 8080,
        "environment": {"PYTHONPATH": "/srv", "EMPTY": ""},
        "limits": {"memory": "1.5Gi", "cpu": "500m", "pids": 100, "disk": "20G"},
        "placement": {
            "node-selector": {"pool": "gpu"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "toleration-seconds": 60}],
            "priority-class": "course",
            "pull-secrets": ["login"],
        },
        "cull-timeout": 60_000,
        "max-age": 3_600_000,
        "health-path": "/api?x=1",
        "access": "public",
        "strip-prefix": True,
        "login": True,
        "labels": {"example.org/owner": "teacher"},
        "display-name": "Plots & more",
    }
    call(url, "PUT", "/templates", spec)
    found = call(url, "GET", f"/templates/{name}").json()
    assert spec.items() <= found.items()
    assert found["revision"] == 1
    assert (found["image-name"], found["image-source"]) == (name, spec["image"])
    assert found["time-created"] == found["time-modified"]


def test_put_and_post_do_the_same(url: str, name: str) -> None:
    assert call(url, "POST", "/templates/", {"name": name, "image": "nginx"}).json()["revision"] == 1
    assert call(url, "PUT", "/templates/", {"name": name, "image": "nginx:2"}).json()["revision"] == 2


@pytest.mark.parametrize("spelling", ["cull-timeout", "cullTimeout", "cull_timeout"])
def test_fields_are_taken_in_every_spelling_and_numbers_as_text(url: str, name: str, spelling: str) -> None:
    assert put(url, name, **{spelling: "1000"}).cull_timeout == 1000


def test_each_change_is_a_revision_and_the_same_content_is_none(url: str, name: str) -> None:
    revisions = [put(url, name, image=image).revision for image in ("a", "a", "b", "b", "a")]
    assert revisions == [1, 1, 2, 2, 3]


def test_a_field_left_out_is_its_default_not_what_it_was(url: str, name: str) -> None:
    put(url, name, port=1234)
    assert put(url, name).port == 8888


def test_an_old_revision_can_be_fetched(url: str, name: str, client: Client) -> None:
    put(url, name, image="a")
    put(url, name, image="b")
    assert client.registry.fetch(name).image == "b"
    assert client.registry.fetch(name, revision=1).image == "a"
    with pytest.raises(DoesNotExist, match="no revision 3"):
        client.registry.fetch(name, revision=3)


def test_the_time_of_creation_stays(url: str, name: str) -> None:
    first, second = put(url, name, image="a"), put(url, name, image="b")
    assert second.time_created == first.time_created
    assert second.time_modified > first.time_modified


def test_the_history_is_complete_and_newest_first(url: str, name: str, client: Client) -> None:
    for image in ("a", "b", "c"):
        put(url, name, image=image)
    assert [(each.revision, each.image) for each in client.registry.history(name)] == [(3, "c"), (2, "b"), (1, "a")]


# rollback and removal


def test_a_rollback_is_a_new_revision_equal_to_an_old_one(url: str, name: str, client: Client) -> None:
    for image in ("a", "b", "c"):
        put(url, name, image=image)
    back = client.registry.rollback(name, revision=1)
    assert (back.revision, back.image) == (4, "a")
    assert client.registry.fetch(name) == back


def test_a_rollback_without_a_number_goes_one_back(url: str, name: str) -> None:
    put(url, name, image="a")
    put(url, name, image="b")
    reply = call(url, "POST", f"/templates/{name}/rollback")
    assert (reply.status, reply.json()["image"], reply.json()["revision"]) == (200, "a", 3)


@pytest.mark.parametrize(
    ("revision", "error"), [(1, Conflict), (None, Conflict), (7, DoesNotExist)], ids=["newest", "first", "unknown"]
)
def test_a_rollback_to_nowhere_is_refused(
    url: str, name: str, client: Client, revision: int | None, error: type[Exception]
) -> None:
    put(url, name)
    with pytest.raises(error):
        client.registry.rollback(name, revision=revision)
    assert client.registry.fetch(name).revision == 1


def test_a_removed_template_is_gone_with_its_history(url: str, name: str, client: Client) -> None:
    put(url, name, image="a")
    put(url, name, image="b")
    assert client.registry.remove(name).image == "b"
    for ask in (client.registry.fetch, client.registry.history, client.registry.remove, client.registry.rollback):
        with pytest.raises(DoesNotExist):
            ask(name)
    assert put(url, name).revision == 1


@pytest.mark.parametrize("unknown", ["nobody", "x" * 300, "%00", "%0a", "%F0%9F%90%8D", "..%2f..%2fetc"])
def test_an_unknown_name_does_not_exist(url: str, unknown: str) -> None:
    reply = call(url, "GET", f"/templates/{unknown}")
    assert reply.status == 404
    assert reply.json()["type"] in ("doesNotExist", "not-found")


# lists


def test_lists_are_in_order_of_names_and_paged(tmp_path: Path) -> None:
    with running(build_app(RegistrySettings.model_validate({"home": tmp_path, "api_key": KEY}))) as url:
        for number in (3, 1, 2, 0, 4):
            put(url, f"plot-{number}")
        page = call(url, "GET", "/templates/?limit=2&offset=1")
        assert [each["name"] for each in page.json()] == ["plot-1", "plot-2"]
        assert page.headers["x-total-count"] == "5"
        assert page.headers["link"] == '</templates?limit=2&offset=3>; rel="next"'


@pytest.mark.parametrize(
    ("words", "expected"),
    [("rain", ["rain-map", "snow"]), ("RAIN", ["rain-map", "snow"]), ("%", ["a"]), ("_", []), ("zzz", []), ("", 3)],
)
def test_a_search_finds_parts_of_names_and_titles_literally(
    searched: Client, words: str, expected: list[str] | int
) -> None:
    found = [each.name for each in searched.registry.fetch_all(search=words)]
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    settings = RegistrySettings.model_validate({"home": tmp_path_factory.mktemp("home"), "api_key": KEY})
    with running(build_app(settings)) as url, Client(url, KEY) as client:
        put(url, "rain-map")
        put(url, "snow", **{"display-name": "Rain and snow"})
        put(url, "a", **{"display-name": "100% \\ sun"})
        yield client


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "offset=-1", f"offset={10**30}", "limit=x"])
def test_a_page_has_bounds(url: str, query: str) -> None:
    assert call(url, "GET", f"/templates/?{query}").status == 422


# keys


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/templates"),
        ("GET", "/templates/x"),
        ("PUT", "/templates"),
        ("POST", "/templates"),
        ("DELETE", "/templates/x"),
        ("GET", "/templates/x/revisions"),
        ("POST", "/templates/x/rollback"),
    ],
)
def test_everything_needs_the_key(url: str, method: str, target: str) -> None:
    assert call(url, method, target, key=None).status == AccessError.status


# what can be launched


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "Upper"),
        ("name", "x" * 64),
        ("name", "a\nb"),
        ("name", "../x"),
        ("name", "naïve"),
        ("name", None),
        ("image", ""),
        ("image", "Upper/case"),
        ("image", "-v/etc:/etc"),
        ("image", "a b"),
        ("image", "nginx\n"),
        ("image", "nginx@sha256:abc"),
        ("image", "http://registry/x"),
        ("image", "x" * 600),
        ("command", []),
        ("command", "jupyter lab"),
        ("command", ["a\0b"]),
        ("command", ["{base_path}"]),
        ("command", ["x"] * 300),
        ("port", 0),
        ("port", 65_536),
        ("port", -1),
        ("port", 80.5),
        ("port", "http"),
        ("environment", {"1A": "x"}),
        ("environment", {"A=B": "x"}),
        ("environment", {"A": "x\0"}),
        ("environment", {"A": None}),
        ("environment", {"": "x"}),
        ("environment", ["A=B"]),
        ("limits", {"memory": "lots"}),
        ("limits", {"memory": "0"}),
        ("limits", {"memory": "-1G"}),
        ("limits", {"memory": "1e3G"}),
        ("limits", {"memory": "NaN"}),
        ("limits", {"memory": "1M"}),
        ("limits", {"memory": "65Gi"}),
        ("limits", {"memory": "999999999999999T"}),
        ("limits", {"cpu": "0"}),
        ("limits", {"cpu": "inf"}),
        ("limits", {"cpu": "1m"}),
        ("limits", {"cpu": "17"}),
        ("limits", {"pids": 0}),
        ("limits", {"pids": 1001}),
        ("limits", {"gpu": 1}),
        ("limits", {"disk": "0"}),
        ("limits", {"disk": "1025Gi"}),
        ("placement", {"node-name": "n1"}),
        ("placement", {"priority-class": "system-node-critical"}),
        ("placement", {"tolerations": [{"key": "a", "seconds": 5}]}),
        ("cull-timeout", 0),
        ("cull-timeout", 10**15),
        ("max-age", -1),
        ("health-path", "api"),
        ("health-path", "//evil.example/"),
        ("health-path", "/a b"),
        ("health-path", "/\r\nX: y"),
        ("access", "everybody"),
        ("labels", {"": "x"}),
        ("labels", {"a b": "x"}),
        ("labels", {"a": "b c"}),
        ("labels", {"org.binder.home": "x"}),
        ("labels", {"traefik.enable": "true"}),
        ("labels", {"x" * 64: "x"}),
        ("privileged", True),
    ],
)
def test_what_cannot_be_launched_is_refused_with_the_field_named(url: str, name: str, field: str, value: Any) -> None:
    reply = call(url, "PUT", "/templates", {"name": name, "image": "nginx"} | {field: value})
    assert (reply.status, reply.json()["type"]) == (422, InvalidTemplate.type)
    assert field in reply.json()["error"]
    assert call(url, "GET", f"/templates/{name}").status == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "nginx"),
        ("image", "library/nginx:1.27-alpine"),
        ("image", f"localhost:5000/a/b__c:tag@{DIGEST}"),
        ("image", DIGEST),
        ("port", 1),
        ("port", 65_535),
        ("limits", {"memory": "6Mi", "cpu": "0.01", "pids": 1}),
        ("limits", {"memory": "64Gi", "cpu": 16, "pids": 1000, "disk": "1Ti"}),
        ("limits", {"memory": "512MB", "cpu": "500m"}),
        ("environment", {"_": "", "lower_Case9": "ü\n"}),
        ("command", ["sh", "-c", "echo ${HOME} {} {token}"]),
        ("health-path", "/a/b?c=d&e=%20"),
    ],
)
def test_what_both_engines_take_is_taken(url: str, name: str, field: str, value: Any) -> None:
    put(url, name, **{field: value})


# many at once


def test_of_many_writers_at_once_none_is_lost(url: str, name: str, client: Client) -> None:
    images = [f"image-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda image: put(url, name, image=image), images))
    assert sorted(template.revision for template in made) == list(range(1, 41))
    assert {each.revision: each.image for each in client.registry.history(name, limit=100)} == {
        template.revision: template.image for template in made
    }


def test_the_same_content_from_many_at_once_is_one_revision(url: str, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: put(url, name), range(40)))
    assert {template.revision for template in made} == {1}


def test_what_was_registered_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = RegistrySettings.model_validate({"home": tmp_path, "api_key": KEY})
    with running(build_app(settings)) as url:
        before = put(url, "plot")
    with running(build_app(settings)) as url, Client(url, KEY) as client:
        assert client.registry.fetch("plot") == before


def test_what_an_operator_set_on_a_template_survives_the_next_build(client: Client, name: str) -> None:
    built = TemplateSpec(name=name, image="demo:1")
    templates = Templates(client)
    templates.register(built)
    placement = Placement(
        node_selector={"pool": "gpu"}, tolerations=[Toleration(key="gpu", operator="Exists")], priority_class="low",
        pull_secrets=["login"],
    )  # fmt: skip
    limits = Limits(disk="20G")
    client.registry.register(built.model_copy(update={"placement": placement, "limits": limits}))
    templates.register(TemplateSpec(name=name, image="demo:2"), built)
    template = client.registry.fetch(name)
    assert (template.image, template.placement, template.limits) == ("demo:2", placement, limits)
