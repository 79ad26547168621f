"""A cluster at its worst: what is said of applications is true within a minute, and nothing is lost or left behind."""

from __future__ import annotations

import http.client
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from binder_client.client import Client
from binder_deploy.backends.kubernetes.paths import item
from binder_deploy.backends.kubernetes.permissions import Need, needs
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.errors import LaunchFailed
from binder_protocol.models import Application, ApplicationStatus, Failure
from tests.cluster.binary import binary
from tests.cluster.layout import Layout
from tests.cluster.up import Cluster as OwnCluster
from tests.support.apiproxy import ApiProxy
from tests.support.cluster import Cluster
from tests.support.deploying import DOCKER, IMAGE
from tests.support.eventually import eventually
from tests.support.places import Place, a_place
from tests.support.silent_nodes import SilentNode, a_silent_node

pytestmark = pytest.mark.kubernetes

DEPLOYED, FAILED, DELETED = ApplicationStatus.DEPLOYED, ApplicationStatus.FAILED, ApplicationStatus.DELETED
MINUTE = 60
NEEDS = needs(Site("any"))


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with a_place(cluster, tmp_path) as made:
        yield made


@pytest.fixture
def way(cluster: Cluster, tmp_path: Path) -> Iterator[ApiProxy]:
    with cluster.proxy(tmp_path) as made:
        yield made


@pytest.fixture
def silent_node(place: Place) -> Iterator[SilentNode]:
    with a_silent_node(place) as made:
        yield made


def through(way: ApiProxy) -> dict[str, object]:
    return {"kubeconfig": way.kubeconfig}


def seen(client: Client, asked: Application, *statuses: ApplicationStatus, within: float = MINUTE) -> Application:
    def there() -> Application | None:
        now = client.deploy.status(asked.template_name, asked.id)
        return now if now.status in statuses else None

    found = eventually(there, within=within, every=0.1, what=f"an application {statuses}")
    assert found is not None
    return found


def failed(client: Client, asked: Application) -> Failure:
    failure = seen(client, asked, FAILED).failure
    assert failure is not None
    return failure


def ready(place: Place) -> tuple[int, str]:
    url = urlsplit(place.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def clean(place: Place, client: Client) -> None:
    for each in client.deploy.list(limit=1000):
        if not each.status.ended:
            client.deploy.stop(each.template_name, each.id)
    place.empty()


@pytest.mark.timeout(180)
def test_a_watch_that_died_in_silence_is_noticed_and_replaced(place: Place, way: ApiProxy) -> None:
    with place.service(kubernetes=through(way)) as client:
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        way.silent = True
        place.delete_pod(asked.id)
        asking = len(way.requests)
        eventually(lambda: "watch=true" in " ".join(way.requests[asking:]), within=MINUTE, what="another watch")
        way.mend()
        assert failed(client, asked).type == "crashed"
        place.empty()


def test_an_api_server_that_is_away_stops_nothing_and_loses_nothing(place: Place, way: ApiProxy) -> None:
    with place.service(kubernetes=through(way), start_timeout=120) as client:
        kept, stopped = (client.deploy.deploy("server") for _ in range(2))
        seen(client, kept, DEPLOYED), seen(client, stopped, DEPLOYED)
        way.cut()
        launched = client.deploy.deploy("server")
        assert client.deploy.status("server", kept.id).status is DEPLOYED
        eventually(lambda: ready(place)[0] == 503, within=MINUTE)
        with pytest.raises(Exception, match="doesn't answer"):
            client.deploy.stop("server", stopped.id)
        assert client.deploy.status("server", stopped.id).status is DELETED
        way.mend()
        assert seen(client, launched, DEPLOYED).location is not None
        eventually(lambda: ready(place)[0] == 200, within=MINUTE)
        eventually(lambda: len(place.pods()) == 2, within=MINUTE, what="two applications")
        assert client.deploy.status("server", kept.id).status is DEPLOYED
        clean(place, client)


@pytest.mark.timeout(180)
def test_an_api_server_that_is_killed_and_started_again_loses_nothing(place: Place, cluster: Cluster) -> None:
    layout = Layout()
    if cluster.kubeconfig != layout.kubeconfig:
        pytest.skip("only the project's own cluster is disturbed")
    with place.service(start_timeout=120) as client:
        kept = client.deploy.deploy("server")
        seen(client, kept, DEPLOYED)
        launched = client.deploy.deploy("server")
        OwnCluster(layout, binary()).restart("apiserver")
        assert seen(client, launched, DEPLOYED).location is not None
        assert client.deploy.status("server", kept.id).status is DEPLOYED
        place.delete_pod(kept.id)
        assert failed(client, kept).type == "crashed"
        clean(place, client)


@pytest.mark.parametrize("refused", [{"POST /api/v1": 429}, {"POST /api/v1": 500}, {"POST /apis": 503}, {"GET": 429}])
def test_a_busy_api_server_delays_a_launch_and_no_more(place: Place, way: ApiProxy, refused: dict[str, int]) -> None:
    with place.service(kubernetes=through(way)) as client:
        way.refused.update(refused)
        asked = client.deploy.deploy("server")

        def tried_again() -> bool:
            return any("tried again" in each.message for each in client.deploy.events("server", asked.id))

        eventually(tried_again, within=MINUTE)
        assert not client.deploy.status("server", asked.id).status.ended
        way.mend()
        seen(client, asked, DEPLOYED)
        assert len(place.pods()) == 1
        clean(place, client)


def test_through_a_slow_api_server_launches_take_their_time(place: Place, way: ApiProxy) -> None:
    with place.service(kubernetes=through(way)) as client:
        way.slow = 1
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        clean(place, client)


def test_an_expired_certificate_is_called_so(place: Place, cluster: Cluster, tmp_path: Path) -> None:
    with (
        cluster.proxy(tmp_path, expired=True) as way,
        place.service(kubernetes=through(way), start_timeout=1) as client,
    ):
        asked = client.deploy.deploy("server")
        failure = failed(client, asked)
        assert failure.type == "engine-error"
        assert "certificate has expired" in failure.message


def test_an_account_with_what_is_listed_launches_and_stops(place: Place, tmp_path: Path) -> None:
    account = place.account(NEEDS, tmp_path / "limited.kubeconfig")
    with place.service(kubernetes={"kubeconfig": account}) as client:
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        assert client.deploy.logs("server", asked.id)
        eventually(lambda: ready(place)[0] == 200)
        clean(place, client)


@pytest.mark.parametrize("absent", NEEDS, ids=" ".join)
def test_a_missing_verb_is_told_before_a_launch_needs_it(place: Place, tmp_path: Path, absent: Need) -> None:
    account = place.account([need for need in NEEDS if need != absent], tmp_path / "limited.kubeconfig")
    with place.service(kubernetes={"kubeconfig": account}):
        verb, resource, _ = absent

        def told() -> bool:
            status, body = ready(place)
            return status == 503 and (f"{verb} {resource}" in body or "refused" in body)

        eventually(told, within=MINUTE)


def test_a_launch_without_the_right_to_it_says_so(place: Place, tmp_path: Path) -> None:
    rest = [need for need in NEEDS if need[:2] != ("create", "services")]
    with place.service(kubernetes={"kubeconfig": place.account(rest, tmp_path / "limited.kubeconfig")}) as client:
        asked = client.deploy.deploy("server")
        with pytest.raises(LaunchFailed, match="may not"):
            client.deploy.wait("server", asked.id, timeout=MINUTE)
        place.empty()


def test_a_namespace_that_is_deleted_takes_its_applications_along_and_they_are_told_to_have_failed(
    place: Place, cluster: Cluster
) -> None:
    with place.service() as client:
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        place.api.delete(item("v1", "Namespace", None, place.namespace))
        assert failed(client, asked).type == "crashed"
        eventually(lambda: not _is_there(cluster, place.namespace), within=MINUTE)
        later = client.deploy.deploy("server")
        with pytest.raises(LaunchFailed, match="namespace"):
            client.deploy.wait("server", later.id, timeout=MINUTE)


def test_a_pod_that_is_deleted_by_hand_is_noticed_and_all_of_it_goes(place: Place) -> None:
    with place.service() as client:
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        place.delete_pod(asked.id)
        assert "removed by somebody else" in failed(client, asked).message
        place.empty()


def test_a_pod_that_is_evicted_is_told_to_be(place: Place) -> None:
    with place.service() as client:
        asked = client.deploy.deploy("server")
        seen(client, asked, DEPLOYED)
        path = f"{item('v1', 'Pod', place.namespace, f'binder-{asked.id}')}/eviction"
        eviction = {"metadata": {"name": f"binder-{asked.id}", "namespace": place.namespace}}
        place.api.create(path, {"apiVersion": "policy/v1", "kind": "Eviction", **eviction})
        assert failed(client, asked).type == "evicted"
        place.empty()


def test_a_webhook_that_refuses_is_quoted(place: Place) -> None:
    with place.service() as client, place.webhook("images come from the company's registry alone"):
        asked = client.deploy.deploy("server")
        failure = failed(client, asked)
        assert failure.type == "invalid-template"
        assert "images come from the company's registry alone" in failure.message
        place.empty()


def test_a_template_that_the_cluster_rejects_is_invalid(place: Place) -> None:
    place.templates.add("rejected", image="not a name of an image")
    with place.service() as client:
        asked = client.deploy.deploy("rejected")
        assert failed(client, asked).type in ("invalid-template", "image-not-found")
        place.empty()


def test_an_image_that_disappears_fails_the_next_launch_and_leaves_what_runs(place: Place, cluster: Cluster) -> None:
    if not Layout().socket.exists():
        pytest.skip("images can be taken from a node of the project's own cluster alone")
    place.templates.add("fleeting", image=fleeting(cluster))
    with place.service() as client:
        kept = client.deploy.deploy("fleeting")
        seen(client, kept, DEPLOYED)
        cluster.gone(place.templates.known["fleeting"].image)
        asked = client.deploy.deploy("fleeting")
        failure = failed(client, asked)
        assert failure.type == "image-not-found"
        assert failure.suggestions
        assert client.deploy.status("fleeting", kept.id).status is DEPLOYED
        assert place.answer(kept.id) == 200
        left = [f"binder-{kept.id}"]
        eventually(lambda: [each["metadata"]["name"] for each in place.pods()] == left, what="what ran alone")
        clean(place, client)


def fleeting(cluster: Cluster) -> str:
    """An image with a name of its own."""
    name = f"fleeting-{secrets.token_hex(4)}:1"
    subprocess.run(["docker", "-H", DOCKER, "tag", IMAGE, name], check=True, timeout=60)
    try:
        return cluster.image(name)
    finally:
        subprocess.run(["docker", "-H", DOCKER, "rmi", name], capture_output=True, check=True, timeout=60)


def test_two_services_at_once_launch_everything_once_and_leave_nothing(place: Place) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(place.service()) for _ in range(2)]
        asked = [clients[number % 2].deploy.deploy("server") for number in range(8)]
        for number, each in enumerate(asked):
            seen(clients[(number + 1) % 2], each, DEPLOYED)
        assert sorted(each["metadata"]["name"] for each in place.pods()) == sorted(f"binder-{e.id}" for e in asked)
        for number, each in enumerate(asked):
            clients[number % 2].deploy.stop("server", each.id)
        place.empty()
        assert all(clients[0].deploy.status("server", each.id).status is DELETED for each in asked)


def _is_there(cluster: Cluster, namespace: str) -> bool:
    return bool(cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "--output=name"))


@pytest.mark.timeout(180)
def test_at_rest_the_api_server_is_hardly_asked(place: Place, way: ApiProxy) -> None:
    with place.service(kubernetes=through(way)) as client:
        asked = [client.deploy.deploy("server") for _ in range(6)]
        for each in asked:
            seen(client, each, DEPLOYED)

        def watches() -> list[int]:
            return [number for number, each in enumerate(way.requests) if "watch=true" in each]

        first = len(watches())
        eventually(lambda: len(watches()) >= first + 2, within=MINUTE, every=0.5, what="two more watches")
        begin, end = watches()[first : first + 2]
        # Between two watches, with a reconciler that passes twice a second: looks at what is allowed, and at nodes.
        assert end - begin <= 6, way.requests[begin:end]
        clean(place, client)


@pytest.mark.timeout(300)
def test_what_was_on_a_node_that_is_gone_was_evicted(place: Place, silent_node: SilentNode, way: ApiProxy) -> None:
    with place.service(kubernetes={**silent_node.settings, **through(way)}) as client:
        asked = silent_node.launched(client)
        eventually(lambda: "kube-node-lease" in " ".join(way.requests), within=MINUTE, what="a look at the node")
        place.api.delete(silent_node.path)
        place.api.delete(silent_node.lease)
        doubted(client, asked)
        # The cluster itself takes up to a minute and a half to believe it.
        assert seen(client, asked, FAILED, within=3 * MINUTE).failure.type == "evicted"  # type: ignore[union-attr]
        place.empty()


def doubted(client: Client, asked: Application, within: float = MINUTE) -> None:
    """It is told in time that nobody knows whether the application runs."""

    def told() -> bool:
        now = client.deploy.status(asked.template_name, asked.id)
        assert now.status is DEPLOYED, now.failure
        return now.failure is not None and now.failure.type == "node-silent"

    eventually(told, within=within, every=0.2, what="an application on a silent node")


@pytest.mark.timeout(300)
def test_of_a_node_that_falls_silent_is_told_in_time_and_of_one_that_comes_back_as_well(
    place: Place, silent_node: SilentNode
) -> None:
    with place.service(kubernetes=silent_node.settings) as client:
        asked = silent_node.launched(client)
        silent_node.beat()
        doubted(client, asked)
        silent_node.beat()

        def known_again() -> bool:
            now = client.deploy.status("server", asked.id)
            return now.status is DEPLOYED and now.failure is None and now.reason is None

        eventually(known_again, within=MINUTE, what="an application that is known to run")
        told = [each.message for each in client.deploy.events("server", asked.id)]
        assert ["not heard of" in each for each in told[-2:]] == [True, False]
        client.deploy.stop("server", asked.id)
        place.delete_pod(asked.id)
        place.empty()


@pytest.mark.timeout(300)
def test_without_a_look_at_nodes_their_silence_is_told_when_the_cluster_believes_it(
    place: Place, silent_node: SilentNode, tmp_path: Path
) -> None:
    account = place.account(NEEDS, tmp_path / "limited.kubeconfig")
    settings = {**silent_node.settings, "kubeconfig": account, "node_lost_seconds": 30}
    with place.service(kubernetes=settings) as client:
        asked = silent_node.launched(client)
        silent_node.beat()
        # After 50 seconds of silence, and what the cluster takes to look around.
        doubted(client, asked, within=1.5 * MINUTE)
        client.deploy.stop("server", asked.id)
        place.delete_pod(asked.id)
        place.empty()


@pytest.mark.timeout(300)
def test_what_was_on_a_node_that_fell_silent_was_evicted(place: Place, silent_node: SilentNode) -> None:
    with place.service(kubernetes=silent_node.settings) as client:
        asked = silent_node.launched(client)
        # The cluster believes it after 50 seconds of silence; without our word it would wait for five minutes then.
        failure = seen(client, asked, FAILED, within=2 * MINUTE).failure
        assert failure is not None
        assert failure.type == "evicted"
        assert "TaintManager" in failure.message
        taints = place.api.get(silent_node.path)["spec"]["taints"]
        assert "node.kubernetes.io/unreachable" in {each["key"] for each in taints}
        place.empty()
