"""A launch in the words of the Kubernetes API, compared with what `golden/` holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from binder_deploy.backends.kubernetes.callers import caller
from binder_deploy.backends.kubernetes.objects import CONTAINER, namespace, objects, owned, pod, selector, surroundings
from binder_deploy.backends.kubernetes.restricted import faults
from binder_deploy.backends.kubernetes.site import Entrance, Gateway, Shares, Site
from binder_deploy.launches import Launch
from binder_deploy.startup import Image
from binder_protocol.errors import InvalidTemplate
from binder_protocol.models import Access, Placement, Toleration
from tests.support.launches import ID, a_launch

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Site("feedc0de")
FULL = Site(
    "feedc0de",
    namespace="classroom",
    entrance=Entrance(ingress_class="public", host="apps.example.org", tls_secret="apps-tls", annotations={"a/b": "c"}),
    shares=Shares(cpu=0.5, memory=0.25, ephemeral_storage=0),
    ephemeral_storage=2 * 10**9,
    pull_secrets=("registry-login",),
    pull_policy="Always",
    node_selector={"pool": "applications"},
    tolerations=({"key": "pool", "operator": "Equal", "value": "applications", "effect": "NoSchedule"},),
    priority_class="low",
    runtime_class="gvisor",
    scheduler="packing",
    stop_seconds=10,
    probe_seconds=0,
    pod_patch={"spec": {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}},
)
NGINX = Entrance(controller="nginx", guard_url="http://deploy.binder:8084")
GATEWAY = Entrance(gateway=Gateway("public", "gateways", "https"), host="apps.example.org", middlewares="binder")

JUPYTER = a_launch(login=True)
WHOLE = a_launch(
    command=("serve", "--at={base-path}", "{port}:{token}", "$(HOME) $$"), port=5000, labels={"course": "maths"},
    environment={"GREETING": "$(BINDER_TOKEN)", "PORT": "1", "BINDER_TOKEN": "mine"},
    extended={"nvidia.com/gpu": 1}, strip_prefix=True, disk=3 * 10**9,
    placement=Placement(
        node_selector={"accelerator": "a100"}, priority_class="course", pull_secrets=["course-login"],
        tolerations=[Toleration(key="gpu", operator="Exists", effect="NoExecute", toleration_seconds=60)],
    ),
)  # fmt: skip
PUBLIC = a_launch(access=Access.PUBLIC)


@pytest.mark.parametrize(
    ("name", "launch", "site"),
    [
        ("jupyter", JUPYTER, PLAIN),
        ("whole", WHOLE, FULL),
        ("public", PUBLIC, Site("feedc0de", own_namespaces=True)),
        ("nginx", WHOLE, Site("feedc0de", entrance=NGINX)),
        ("gateway", WHOLE, Site("feedc0de", entrance=GATEWAY)),
        ("other", PUBLIC, Site("feedc0de", entrance=Entrance(controller="other"))),
    ],
)
def test_a_launch_as_a_whole(name: str, launch: Launch, site: Site, request: pytest.FixtureRequest) -> None:
    made = objects(launch, site)
    agree(name, {"pod": made.pod, "service": made.service, "route": made.route}, request)


@pytest.mark.parametrize(
    ("name", "site", "identity"),
    [
        ("surroundings", Site("feedc0de", reached_from=(caller("traefik/app=traefik"), caller("10.1.0.7/32"))), None),
        (
            "surroundings-own",
            Site("feedc0de", own_namespaces=True, reachable=("10.9.0.0/16",), cluster_networks=("203.0.113.0/24",)),
            ID,
        ),
    ],
)
def test_what_stands_around_applications(
    name: str, site: Site, identity: str | None, request: pytest.FixtureRequest
) -> None:
    agree(name, list(surroundings(site, identity, nodes=("203.0.113.9", "198.51.100.1", "2001:db8::7"))), request)


@pytest.mark.parametrize("launch", [JUPYTER, WHOLE, PUBLIC])
@pytest.mark.parametrize("site", [PLAIN, FULL])
def test_every_pod_keeps_the_restricted_standard(launch: Launch, site: Site) -> None:
    assert list(faults(pod(launch, site))) == []


def test_what_belongs_to_a_pod_goes_with_it() -> None:
    made = objects(PUBLIC, PLAIN)
    service = owned(made.service, "uid-1")
    assert service["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": f"binder-{ID}", "uid": "uid-1"}
    ]
    assert "ownerReferences" not in made.service["metadata"]


def test_all_objects_have_one_name_and_the_labels_by_which_they_are_found() -> None:
    made = objects(WHOLE, FULL)
    wanted = dict(each.split("=") for each in selector(FULL).split(","))
    for each in (made.pod, made.service, made.route):
        assert (each["metadata"]["name"], each["metadata"]["namespace"]) == (f"binder-{ID}", "classroom")
        assert wanted.items() <= each["metadata"]["labels"].items()
    assert made.service["spec"]["selector"].items() <= made.pod["metadata"]["labels"].items()
    assert namespace(ID, Site("s", own_namespaces=True)) == f"binder-{ID}"


def test_labels_of_the_template_can_not_take_the_place_of_ours() -> None:
    launch = a_launch(labels={"app.kubernetes.io/instance": "other", "org.binder.application": "x"})
    labels = pod(launch, PLAIN)["metadata"]["labels"]
    assert (labels["app.kubernetes.io/instance"], labels["org.binder.application"]) == ("feedc0de", ID)


@pytest.mark.parametrize("text", ["$(HOME)", "$$(HOME)", "a$", "$", "$$$", "100 $ (net)", "$(", "\\$x"])
def test_the_kubelet_leaves_values_as_they_are(text: str) -> None:
    made = pod(a_launch(command=(text,), environment={"A": text}), PLAIN)["spec"]["containers"][0]
    values = {each["name"]: each["value"] for each in made["env"]}
    assert expanded(made["args"][0]) == expanded(values["A"]) == text


def test_an_image_that_was_looked_at_goes_before_the_templates_word() -> None:
    jupyter = Image("demo:1", labels=(("org.binder.app", "jupyter"),), command=("jupyter-lab",))
    made = objects(a_launch(), PLAIN, jupyter)
    assert made.pod["metadata"]["labels"]["org.binder.app"] == "jupyter"
    assert "guard" not in json.dumps(made.route)
    assert "guard" in json.dumps(objects(a_launch(), PLAIN, Image("demo:1")).route)


@pytest.mark.parametrize(
    ("entrance", "values"),
    [
        (Entrance(controller="other"), {}),
        (Entrance(controller="other"), {"access": Access.PUBLIC, "strip_prefix": True}),
        (Entrance(controller="nginx"), {}),
        (Entrance(controller="other", gateway=Gateway("public")), {}),
        (Entrance(controller="nginx", gateway=Gateway("public"), guard_url="http://deploy"), {}),
        (Entrance(controller="traefik", gateway=Gateway("public")), {}),
    ],
)
def test_no_application_stands_open_because_its_entrance_can_not_guard_it(
    entrance: Entrance, values: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTemplate) as refused:
        objects(a_launch(**values), Site("s", entrance=entrance))
    assert any("[deploy.kubernetes]" in each for each in refused.value.suggestions)


def test_an_application_that_nobody_may_reach_is_reached_by_nobody() -> None:
    (policy,) = surroundings(PLAIN)
    assert policy["spec"]["ingress"] == []


def agree(name: str, found: object, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / f"{name}.json"
    text = json.dumps(found, indent=1) + "\n"
    if request.config.getoption("--update-snapshots"):
        file.write_text(text)
    assert text == file.read_text(), f"pytest {__file__} --update-snapshots writes it anew"


def expanded(text: str) -> str:
    """As the kubelet does where there is no variable of that name: `$$` is one `$`, `$(NAME)` stays."""
    found, place = "", 0
    while place < len(text):
        found += text[place]
        place += 2 if text[place : place + 2] == "$$" else 1
    return found


def test_the_application_is_the_first_container() -> None:
    assert pod(PUBLIC, FULL)["spec"]["containers"][0]["name"] == CONTAINER


def test_more_than_a_cluster_keeps_is_refused_by_name() -> None:
    large = {f"V{number}": "é" * 16_000 for number in range(40)}
    with pytest.raises(InvalidTemplate, match="environment and command are 12800"):
        pod(a_launch(environment=large), PLAIN)
    assert pod(a_launch(environment=dict(list(large.items())[:30])), PLAIN)
