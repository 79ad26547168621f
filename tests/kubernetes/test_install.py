"""Binder installed in a cluster by its chart, two of each service: launches, upgrades, and the death of who leads."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from binder_client.client import Client
from binder_control.frontdoor import Ingresses
from binder_protocol.errors import BinderError
from binder_protocol.models import Application, ApplicationStatus, Build, BuildStatus, TemplateSpec
from binder_protocol.service.leases import lease_table
from binder_protocol.service.storage import Database
from tests.cluster.layout import Layout
from tests.support import buildkit
from tests.support.cluster import Cluster
from tests.support.deploying import IMAGE, SERVER, python
from tests.support.eventually import eventually
from tests.support.frontdoor import Door, answers, free_door, front_door
from tests.support.installing import KEY, Installation, builder, client_command, place, suite_image, values
from tests.support.postgres import postgres_server

# The first test waits for what has to be compiled.
pytestmark = [
    pytest.mark.docker, pytest.mark.helm, pytest.mark.kubernetes, pytest.mark.postgres, pytest.mark.timeout(1_500),
]  # fmt: skip

REPLACED_SECONDS = 15
POD_REGISTRY = os.environ.get("TEST_POD_REGISTRY", Layout().registries["registry-pods"])
"""The cluster's registry, at an address that its pods reach, too."""
RUNNING = ("registry", "build", "deploy", "health")
PLAIN = """\
[registry."{0}"]
  http = true
"""
_ADDRESS = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> Iterator[str]:
    """The project's own image, in the cluster's registry."""
    tag = f"binder-test-suite:{uuid.uuid4().hex[:8]}"
    suite_image(tag)
    yield cluster.image(tag)
    subprocess.run(["docker", "rmi", tag], capture_output=True, check=False, timeout=60)


@dataclass
class Installed:
    """What runs: two of each service on one PostgreSQL, and a front door."""

    installation: Installation
    database_url: str
    client: Client
    door: Door

    def launch(self, name: str = "server") -> Application:
        asked = self.client.deploy.deploy(name)
        return self.client.deploy.wait(name, asked.id, timeout=60)

    def leader(self) -> str:
        """The pod of the deploy service that leads."""
        database, leases = Database(self.database_url, "binder_deploy.migrations"), lease_table("deploy_leases")
        try:
            with database.reading() as connection:
                named = select(leases.c.holder).where(leases.c.name == "reconciler")
                holder = connection.execute(named).scalar_one_or_none()
        finally:
            database.close()
        return (holder or "").partition("/")[0]

    def pods(self) -> dict[str, str]:
        """The uids of the pods of applications that tests launched, by their names: the health check launches, too."""
        ours = ("--selector=org.binder.template=server", "--output=json")
        found = self.installation.cluster.kubectl(f"--namespace={self.installation.applications}", "get", "pods", *ours)
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in json.loads(found)["items"]}


@pytest.fixture(scope="module")
def installed(
    cluster: Cluster, helm_program: str, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    home, node = tmp_path_factory.mktemp("install"), node_address(cluster)
    door = free_door(node)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres_server(node)).new()
        made = stack.enter_context(place(cluster, helm_program, home, url))
        buildkit_image = cluster.image(stack.enter_context(buildkit.made_image(IMAGE)))
        address = stack.enter_context(builder(cluster, buildkit_image, PLAIN.format(POD_REGISTRY)))
        building = {
            "images": "registry", "builders": [address], "registry": f"{POD_REGISTRY}/{made.namespace}",
            "registry-tls": False, "base-image": POD_REGISTRY + cluster.image(IMAGE).removeprefix(cluster.registry),
            "min-free-bytes": 0,
        }  # fmt: skip
        two = {"replicas": 2}
        wanted = values(made, image, door, database="server", registry=two)
        wanted |= {name: {**wanted.get(name, {}), **two} for name in RUNNING}
        wanted["build"]["settings"] = building
        made.install(wanted)
        urls = {service: made.address(service) for service in RUNNING}
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("KUBECONFIG", str(cluster.kubeconfig))
        ingresses = Ingresses(namespace=made.applications)
        stack.enter_context(front_door(door, home / "front-door", urls=urls, ingresses=ingresses))
        client = stack.enter_context(made.client())
        client.registry.register(TemplateSpec(name="server", image=cluster.image(IMAGE), command=python(SERVER)))
        yield Installed(made, url, client, door)


def node_address(cluster: Cluster) -> str:
    """An address of this machine that pods reach, too."""
    return cluster.kubectl("get", "nodes", f"--output=jsonpath={_ADDRESS}")


def test_all_services_are_ready_and_one_of_each_pair_leads(installed: Installed) -> None:
    for service in RUNNING:
        assert len(installed.installation.pods(service)) == 2
        with urllib.request.urlopen(f"{installed.installation.address(service)}/readyz", timeout=10) as reply:
            assert reply.status == 200
    eventually(lambda: installed.leader() in installed.installation.pods("deploy"), what="a leader")


def test_people_launch_what_answers_and_stop_it(installed: Installed) -> None:
    done = client_command(installed.door.url, "deploy", "server", "--json")
    assert done.returncode == 0, done.stderr
    application = json.loads(done.stdout)
    assert answers(application["location"])
    stopped = client_command(installed.door.url, "stop", f"server/{application['id']}")
    assert stopped.returncode == 0, stopped.stderr
    eventually(lambda: f"binder-{application['id']}" not in installed.pods(), within=30)


def test_a_repository_is_built_in_the_cluster_and_launched(installed: Installed) -> None:
    name = installed.client.build.start("http://suite-health:8086/binder/health-check.git").name
    build = ended(installed, name)
    assert build.status is BuildStatus.COMPLETED, build.failure
    lines = list(installed.client.build.logs(name))  # of whichever of the two is asked
    assert lines[-1].status == "completed"
    application = installed.launch(build.template or "")
    assert answers(application.location)
    installed.client.deploy.stop(build.template or "", application.id)


def test_a_build_goes_on_when_its_service_is_upgraded(installed: Installed) -> None:
    name = installed.client.build.start("http://suite-health:8086/binder/health-check.git", force=True).name
    eventually(lambda: installed.client.build.status(name).status is BuildStatus.RUNNING, within=60)
    installed.installation.kubectl("rollout", "restart", "deployment/suite-build")
    build = ended(installed, name)
    assert build.status is BuildStatus.COMPLETED, build.failure
    installed.installation.kubectl("rollout", "status", "deployment/suite-build", "--timeout=120s", within=130)


def ended(installed: Installed, name: str) -> Build:
    def there() -> Build | None:
        build = installed.client.build.status(name)
        return build if build.status.ended else None

    build = eventually(there, within=180, every=0.5, what="the end of the build")
    assert build is not None
    return build


def test_a_rolling_upgrade_loses_no_application(installed: Installed) -> None:
    applications = [installed.launch() for _ in range(2)]
    before, old = installed.pods(), installed.installation.pods("deploy")
    deployments = [f"deployment/suite-{service}" for service in RUNNING]
    with asking(installed.door.url, applications[0].id) as answered:
        installed.installation.kubectl("rollout", "restart", *deployments)
        on_its_way = installed.client.deploy.deploy("server")
        for deployment in deployments:
            installed.installation.kubectl("rollout", "status", deployment, "--timeout=120s", within=130)
        eventually(lambda: not old.keys() & installed.installation.pods("deploy").keys(), within=60, what="other pods")
    assert {*answered} == {"deployed"}

    launched = installed.client.deploy.wait("server", on_its_way.id, timeout=60)
    for each in (*applications, launched):
        now = installed.client.deploy.status("server", each.id)
        assert now.status is ApplicationStatus.DEPLOYED, now.failure
        assert answers(now.location)
    assert before.items() <= installed.pods().items(), "no application was touched"
    assert len(installed.pods()) == len(before) + 1, "none was launched twice"
    for each in (*applications, launched):
        installed.client.deploy.stop("server", each.id)


@contextlib.contextmanager
def asking(url: str, identity: str) -> Iterator[list[str]]:
    """Asks for an application's status, through the front door, all the time; what came of it."""
    answered: list[str] = []
    over = threading.Event()

    def ask() -> None:
        with Client(url, KEY) as client:
            while not over.wait(0.05):
                try:
                    answered.append(client.deploy.status("server", identity).status.value)
                except BinderError as error:
                    answered.append(f"{error.type}: {error.message}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answered
    finally:
        over.set()
        thread.join()


def test_a_leader_that_is_killed_is_replaced(installed: Installed) -> None:
    application = installed.launch()
    leader = eventually(installed.leader, what="a leader")
    installed.installation.kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    eventually(lambda: installed.leader() not in ("", leader), within=REPLACED_SECONDS, what="another leader")
    apart = f"--namespace={installed.installation.applications}"
    installed.installation.cluster.kubectl(apart, "delete", "pod", f"binder-{application.id}", "--wait=false")

    def failed() -> bool:
        return installed.client.deploy.status("server", application.id).status is ApplicationStatus.FAILED

    eventually(failed, within=60, what="the word of the leader")
    eventually(lambda: len(installed.installation.pods("deploy")) == 2, within=60)


def test_one_of_each_on_files_is_installed_too(
    cluster: Cluster, helm_program: str, image: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home, door = tmp_path_factory.mktemp("install"), free_door(node_address(cluster))
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(place(cluster, helm_program, home))
        made.install(values(made, image, door, storage={"kind": "emptyDir"}))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("KUBECONFIG", str(cluster.kubeconfig))
        ingresses = Ingresses(namespace=made.applications)
        urls = {"deploy": made.address("deploy")}
        stack.enter_context(front_door(door, home / "front-door", urls=urls, ingresses=ingresses))
        client = stack.enter_context(made.client())
        client.registry.register(TemplateSpec(name="server", image=cluster.image(IMAGE), command=python(SERVER)))
        application = client.deploy.wait("server", client.deploy.deploy("server").id, timeout=60)
        assert answers(application.location)
        client.deploy.stop("server", application.id)
