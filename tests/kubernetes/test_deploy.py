"""The deploy service on a real cluster, through its API."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from binder_client.client import Client
from binder_deploy.backends.kubernetes.paths import collection
from binder_deploy.backends.kubernetes.placing import NOT_READY, UNREACHABLE
from binder_protocol.errors import (
    ApplicationOutOfMemory,
    AtCapacity,
    Crashed,
    ImageNotFound,
    InvalidTemplate,
    LaunchFailed,
    NotListening,
    QuotaExceeded,
    Unschedulable,
)
from binder_protocol.models import Application, ApplicationStatus, Limits, Placement, PreloadStatus, Toleration
from tests.support.cluster import Cluster
from tests.support.deploying import SERVER, python
from tests.support.eventually import eventually
from tests.support.places import Place, a_place
from tests.support.silent_nodes import a_silent_node

pytestmark = pytest.mark.kubernetes

TOO_MUCH_MEMORY = "import time\ntime.sleep(0.2)\nx = bytearray(512 * 2**20)\ntime.sleep(60)"
DEAF = "import time\nprint('deaf', flush=True)\ntime.sleep(600)"
CRASH = "import sys\nprint('no such file: data.csv', flush=True)\nsys.exit(7)"
DIES_LATER = SERVER.replace("def do_GET(self):", "def do_GET(self):\n        if 'die' in self.path: os._exit(5)")
DEPLOYED, PENDING, DELETED, FAILED = (
    ApplicationStatus.DEPLOYED, ApplicationStatus.PENDING, ApplicationStatus.DELETED, ApplicationStatus.FAILED,
)  # fmt: skip


@contextmanager
def stocked(cluster: Cluster, home: Path) -> Iterator[Place]:
    """A home, a namespace and templates for services of one's own."""
    with a_place(cluster, home) as made:
        for name, command in (
            ("deaf", DEAF), ("crash", CRASH), ("greedy", TOO_MUCH_MEMORY), ("dies-later", DIES_LATER),
        ):  # fmt: skip
            made.templates.add(name, image=made.image, command=python(command))
        made.templates.add("no-image", image=f"{made.image}-that-is-not-there")
        made.templates.add("short", image=made.image, cull_timeout=1_500)
        yield made


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For tests that start services. No other one runs in its home: that one might lead."""
    with stocked(cluster, tmp_path_factory.mktemp("home")) as made:
        yield made


@dataclass
class Deployed:
    client: Client
    place: Place

    def launch(self, name: str = "server", **request: Any) -> Application:
        asked = self.client.deploy.deploy(name, **request)
        return self.client.deploy.wait(name, asked.id, timeout=60)

    def seen(self, asked: Application, *statuses: ApplicationStatus, within: float = 30) -> Application:
        def there() -> Application | None:
            now = self.client.deploy.status(asked.template_name, asked.id)
            return now if now.status in statuses else None

        found = eventually(there, within=within, every=0.1, what=f"an application {statuses}")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A service that many tests share."""
    with stocked(cluster, tmp_path_factory.mktemp("shared")) as place, place.service_behind_front_door() as client:
        yield Deployed(client, place)


@pytest.fixture
def deployed(running: Deployed) -> Iterator[Deployed]:
    yield running
    for each in running.client.deploy.list(limit=1000):
        if not each.status.ended:
            running.client.deploy.stop(each.template_name, each.id)
    running.place.empty()


def answer(location: str | None, path: str = "") -> int:
    url = urlsplit(location or "")
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request("GET", f"{url.path}{path}?{url.query}")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_launched_application_answers_and_nothing_is_left_of_it_after_its_stop(deployed: Deployed) -> None:
    application = deployed.launch()
    assert application.status is DEPLOYED
    assert answer(application.location) == 200
    assert len(deployed.place.there()) == 3
    assert deployed.client.deploy.stop("server", application.id).status is DELETED
    assert deployed.client.deploy.stop("server", application.id).status is DELETED
    deployed.place.empty()


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("crash", Crashed),
        ("greedy", ApplicationOutOfMemory),
        ("no-image", ImageNotFound),
    ],
)
def test_a_failure_has_its_type_and_leaves_nothing(deployed: Deployed, template: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        deployed.launch(template)
    failed = deployed.client.deploy.list(limit=1)[0]
    assert failed.failure is not None
    if template == "crash":
        assert failed.failure.log == ["no such file: data.csv"]
    deployed.place.empty()


def test_an_application_that_dies_later_fails_soon_and_says_so(deployed: Deployed) -> None:
    application = deployed.launch("dies-later")
    assert answer(application.location, "die") >= 500
    failed = deployed.seen(application, FAILED)
    assert failed.failure is not None
    assert (failed.failure.type, "exit code 5" in failed.failure.message) == ("crashed", True)


def test_an_application_that_never_listens_is_given_up(place: Place) -> None:
    with place.service(start_timeout=3) as client:
        deployed = Deployed(client, place)
        with pytest.raises(NotListening):
            deployed.launch("deaf")
        place.empty()


def test_what_fits_on_no_node_fails_at_once(place: Place) -> None:
    with place.service(max_memory="8000G") as client, pytest.raises(Unschedulable, match="no node"):
        Deployed(client, place).launch("server", resources=Limits(memory="4000G"))
    place.empty()


def test_on_a_full_cluster_launches_wait_for_a_place(place: Place) -> None:
    node = place.api.list(collection("v1", "Node"))[0]
    most = int(node["status"]["allocatable"]["memory"].removesuffix("Ki")) * 1024
    large = Limits(memory=str(most * 6 // 10))
    with place.service(max_memory=str(most), queue_timeout=300) as client:
        deployed = Deployed(client, place)
        first = deployed.launch(resources=large)
        second = client.deploy.deploy("server", resources=large)

        def waits() -> bool:
            now = client.deploy.status("server", second.id)
            assert now.status is PENDING
            return "Insufficient memory" in (now.reason or "")

        eventually(waits, within=30)
        client.deploy.stop("server", first.id)
        # On a cluster that others use as well, somebody else may come first.
        deployed.seen(second, DEPLOYED, within=120)
        client.deploy.stop("server", second.id)
        place.empty()


def test_whoever_waits_too_long_for_a_place_is_told_why_there_was_none(place: Place) -> None:
    place.templates.add("elsewhere", image=place.image)
    with place.service(queue_timeout=1, kubernetes={"node_selector": {"binder-test": "nowhere"}}) as client:
        with pytest.raises(Unschedulable, match="affinity/selector"):
            Deployed(client, place).launch("elsewhere")
        place.empty()


def test_a_full_quota_is_said_to_be_full(place: Place) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    where = collection("v1", "ResourceQuota", place.namespace)
    place.api.create(where, quota)
    try:
        with place.service() as client:

            def counted() -> bool:
                return bool(place.api.get(f"{where}/full").get("status", {}).get("hard"))

            eventually(counted)
            with pytest.raises(QuotaExceeded, match="pods=1"):
                Deployed(client, place).launch()
            assert client.deploy.capacity().available == 0
    finally:
        place.api.delete(f"{where}/full")
    place.empty()


def test_capacity_counts_what_runs_and_what_has_a_place(place: Place) -> None:
    with place.service(max_applications=10_000) as client:
        before = client.deploy.capacity()
        assert (before.running, before.available < 10_000) == (0, True)
        application = Deployed(client, place).launch()
        assert client.deploy.capacity().running == 1
        client.deploy.stop("server", application.id)
    place.empty()


def test_no_more_are_launched_than_the_operator_allows(place: Place) -> None:
    with place.service(max_applications=1) as client:
        asked = client.deploy.deploy("server")
        with pytest.raises(AtCapacity):
            client.deploy.deploy("server")
        client.deploy.stop("server", asked.id)
    place.empty()


def test_an_idle_application_is_culled_unless_it_is_extended(deployed: Deployed) -> None:
    idle, extended = deployed.launch("short"), deployed.launch("short")
    deployed.client.deploy.extend("short", extended.id, milliseconds=600_000)
    culled = deployed.seen(idle, DELETED)
    assert "idle" in (culled.reason or "")
    assert deployed.client.deploy.status("short", extended.id).status is DEPLOYED


def test_logs_and_events_are_followed_to_their_end(deployed: Deployed) -> None:
    application = deployed.launch()
    lines = deployed.client.deploy.logs("server", application.id, follow=True)
    assert next(iter(lines)).text == "listening on 8888"
    deployed.client.deploy.stop("server", application.id)
    statuses = [each.status for each in deployed.client.deploy.events("server", application.id, follow=True)]
    assert statuses[0] is PENDING
    assert statuses[-2:] == [DEPLOYED, DELETED]


def test_a_new_service_takes_over_what_runs_and_removes_what_nobody_wants(place: Place) -> None:
    with place.service() as client:
        kept = Deployed(client, place).launch()
    orphan = place.pods()[0]
    name = f"binder-{'0' * 32}"
    labels = {**orphan["metadata"]["labels"], "org.binder.application": "0" * 32}
    spec = {key: value for key, value in orphan["spec"].items() if key != "nodeName"}
    metadata = {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    place.api.create(collection("v1", "Pod", place.namespace), body)
    with place.service() as client:
        eventually(lambda: [each["metadata"]["name"] for each in place.pods()] == [f"binder-{kept.id}"], within=30)
        assert client.deploy.status("server", kept.id).status is DEPLOYED
        assert place.answer(kept.id) == 200
        client.deploy.stop("server", kept.id)
    place.empty()


def test_a_launch_that_a_service_left_is_taken_up_by_the_next(place: Place) -> None:
    with place.service() as client:
        asked = client.deploy.deploy("server")
        eventually(lambda: place.pods())
    with place.service() as client:
        assert Deployed(client, place).seen(asked, DEPLOYED).location is not None
        # What tests before this one stopped may still be on its way out.
        eventually(lambda: len(place.there()) == 3, within=60)
        client.deploy.stop("server", asked.id)
    place.empty()


def test_an_image_is_brought_to_every_node_or_it_is_said_why_not(deployed: Deployed) -> None:
    place, client = deployed.place, deployed.client
    client.deploy.preload("server")

    def loaded() -> bool:
        now = client.deploy.preload_status("server")
        return now.status is PreloadStatus.COMPLETED

    eventually(loaded, within=60)
    nodes = client.deploy.preload_status("server").nodes
    there = {each["metadata"]["name"] for each in place.api.list(collection("v1", "Node"))}
    assert nodes == dict.fromkeys(there, PreloadStatus.COMPLETED)
    client.deploy.preload("no-image")
    eventually(lambda: client.deploy.preload_status("no-image").status is PreloadStatus.FAILED, within=60)
    failure = client.deploy.preload_status("no-image").failure
    assert failure is not None
    assert failure.type == "image-not-found"
    where = collection("apps/v1", "DaemonSet", place.namespace)
    for each in place.api.list(where):
        assert each["spec"]["template"]["spec"]["containers"][0]["image"] == place.image
        place.api.delete(f"{where}/{each['metadata']['name']}")


def test_an_image_is_brought_to_those_nodes_alone_on_which_its_template_may_run(place: Place) -> None:
    with a_silent_node(place) as node, place.service() as client:
        tolerations = [Toleration(**each) for each in node.tolerations]
        place.templates.add("there", image=place.image, placement=Placement(node_selector=node.selector))
        placement = Placement(node_selector=node.selector, tolerations=tolerations)
        place.templates.add("elsewhere", image=place.image, placement=placement)
        client.deploy.preload("there")  # the node's taint keeps it off

        def done(template: str) -> bool:
            return client.deploy.preload_status(template).status is PreloadStatus.COMPLETED

        eventually(lambda: done("there"), within=60)
        assert client.deploy.preload_status("there").nodes == {}
        client.deploy.preload("elsewhere")
        where = {node.name: PreloadStatus.LOADING}
        eventually(lambda: client.deploy.preload_status("elsewhere").nodes == where, within=60)
        assert not done("elsewhere")
        mine = {"labelSelector": "org.binder.preload"}
        for each in place.api.list(collection("v1", "Pod", place.namespace), mine):
            node.runs(each["metadata"]["name"], "image")
        eventually(lambda: done("elsewhere"), within=60)
        assert client.deploy.preload_status("elsewhere").nodes == {node.name: PreloadStatus.COMPLETED}
        sets = collection("apps/v1", "DaemonSet", place.namespace)
        for each in place.api.list(sets):
            place.api.delete(f"{sets}/{each['metadata']['name']}")


def test_a_preload_goes_no_further_than_templates_may(place: Place) -> None:
    anywhere = Placement(tolerations=[Toleration(operator="Exists")])
    place.templates.add("everywhere", image=place.image, placement=anywhere)
    settings = {"template_placement": ["node-selector"]}
    with place.service(kubernetes=settings) as client, pytest.raises(InvalidTemplate, match="tolerations"):
        client.deploy.preload("everywhere")


def test_in_a_namespace_of_its_own_an_application_leaves_none_behind(place: Place) -> None:
    made = collection("v1", "Namespace")
    with place.service(kubernetes={"own_namespaces": True}) as client:
        stopped, vanished = (Deployed(client, place).launch() for _ in range(2))
        names = {f"binder-{stopped.id}", f"binder-{vanished.id}"}

        def there() -> set[str]:
            return {each["metadata"]["name"] for each in place.api.list(made)} & names

        assert there() == names
        client.deploy.stop("server", stopped.id)
        place.api.delete(f"{made}/binder-{vanished.id}/pods/binder-{vanished.id}", grace=0)
        eventually(lambda: there() == set(), within=60, every=0.2, what="the end of both namespaces")
        assert client.deploy.status("server", vanished.id).status is FAILED


def test_a_template_says_where_it_runs_and_how_much_disk_it_gets(deployed: Deployed) -> None:
    placement = Placement(
        node_selector={"kubernetes.io/os": "linux"}, pull_secrets=["login"],
        tolerations=[Toleration(key="gpu", operator="Exists", effect="NoExecute", toleration_seconds=60)],
    )  # fmt: skip
    deployed.place.templates.add("placed", image=deployed.place.image, limits=Limits(disk="1G"), placement=placement)
    deployed.launch("placed")
    (pod,) = deployed.place.pods()
    spec = pod["spec"]
    assert spec["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "1G"
    assert (spec["nodeSelector"], spec["imagePullSecrets"]) == ({"kubernetes.io/os": "linux"}, [{"name": "login"}])
    # The API server would have added five minutes for lost nodes, had we said nothing.
    seconds = {each["key"]: each["tolerationSeconds"] for each in spec["tolerations"]}
    assert seconds == {UNREACHABLE: 5, NOT_READY: 30, "gpu": 60}


def test_a_priority_class_that_is_not_there_is_the_templates_mistake(deployed: Deployed) -> None:
    placement = Placement(priority_class="not-there")
    deployed.place.templates.add("urgent", image=deployed.place.image, placement=placement)
    with pytest.raises(LaunchFailed, match="no PriorityClass with name not-there"):
        deployed.launch("urgent")
    (failed,) = deployed.client.deploy.status_all("urgent")
    assert failed.failure is not None
    assert failed.failure.type == "invalid-template"
    deployed.place.empty()
