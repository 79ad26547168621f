"""The clock on the wall is set by hours while applications run: the service's own process, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from binder_client.client import Client
from binder_protocol.models import Access, Application, ApplicationStatus, TemplateSpec
from binder_registry.main import build_app as build_registry
from binder_registry.settings import RegistrySettings
from tests.support.cluster import Cluster
from tests.support.deploying import KEY, SERVER, python
from tests.support.eventually import eventually
from tests.support.places import Place, a_place
from tests.support.processes import Running, service
from tests.support.server import running
from tests.support.wall_clock import COMPILER, WallClock, wall_clock

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (the Debian package gcc)")

DEPLOYED, DELETED = ApplicationStatus.DEPLOYED, ApplicationStatus.DELETED
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOVED = "the times of records with it"


@contextmanager
def deploying(home: Path, clock: WallClock, image: str, environ: dict[str, str]) -> Iterator[tuple[Running, Client]]:
    """A deploy service of its own process, which goes by `clock`, and a registry that goes by the machine's."""
    with running(build_registry(RegistrySettings(home=home, api_key=KEY, port=0))) as registry:
        with Client(registry, KEY) as client:
            for name, values in {"kept": {}, "brief": {"max_age": 3_000}}.items():
                spec = TemplateSpec(name=name, image=image, command=python(SERVER), access=Access.PUBLIC, **values)
                client.registry.register(spec)
        given = {
            "BINDER_API_KEY": KEY, "BINDER_REGISTRY_URL": registry, "BINDER_DEPLOY_RECONCILE_EVERY": "0.5",
            "BINDER_DEPLOY_ACTIVITY_EVERY": "0.5", "BINDER_DEPLOY_CULL_TIMEOUT": "600", "BINDER_DEPLOY_CULL_GRACE": "0",
            "BINDER_DEPLOY_START_TIMEOUT": "30", "BINDER_DEPLOY_MAX_AGE": "3600", "BINDER_DEPLOY_STOP_TIMEOUT": "1",
        }  # fmt: skip
        with (
            service("binder_deploy", home, {**given, **environ, **clock.environ}) as process,
            Client(process.url, KEY) as client,
        ):
            yield process, client


def launched(client: Client, template: str = "kept") -> Application:
    return client.deploy.wait(template, client.deploy.deploy(template).id, timeout=60)


def moves(home: Path) -> int:
    return (home / "binder_deploy.log").read_text().count(MOVED)


def jumps(home: Path, clock: WallClock, hours: float) -> None:
    """Sets the clock, and waits until the service has seen it."""
    before = moves(home)
    clock.set(hours)
    eventually(lambda: moves(home) > before, within=60, what="a service that sees the new time")


def told_right(client: Client, asked: Application, hours: float) -> None:
    """It runs, and what is told of its times makes sense by the clock as it is now."""
    now = client.deploy.status(asked.template_name, asked.id)
    wall = datetime.now(UTC) + hours * HOUR
    assert now.status is DEPLOYED, now
    assert now.last_activity is not None
    assert now.cull_time is not None
    assert now.end_of_life is not None
    assert -MINUTE < now.start_time - wall < MINUTE
    assert -MINUTE < now.last_activity - wall < MINUTE
    assert timedelta() < now.cull_time - wall <= 10 * MINUTE
    assert timedelta() < now.end_of_life - wall <= HOUR


def goes_well(home: Path, client: Client, clock: WallClock) -> None:
    """What an operator's clock does to applications: nothing."""
    asked = launched(client)
    for hours in (3, 0, -3, 24 * 40, 0):
        jumps(home, clock, hours)
        told_right(client, asked, hours)
        launching = client.deploy.deploy("kept")
        later = client.deploy.wait("kept", launching.id, timeout=60)
        assert (later.timings or {})["deployed"] < 60
        told_right(client, later, hours)
        assert client.deploy.stop("kept", later.id).status is DELETED
    brief = launched(client, "brief")
    ended = eventually(
        lambda: now if (now := client.deploy.status("brief", brief.id)).status.ended else None, within=60
    )
    assert "max-age" in (ended.reason or "")
    told_right(client, asked, 0)
    assert client.deploy.status("kept", asked.id).status is DEPLOYED
    assert client.deploy.stop("kept", asked.id).status is DELETED


def test_applications_in_memory(tmp_path: Path) -> None:
    clock = wall_clock(tmp_path)
    with deploying(tmp_path, clock, "any", {"BINDER_DEPLOY_BACKEND": "memory"}) as (_, client):
        goes_well(tmp_path, client, clock)


@pytest.mark.kubernetes
@pytest.mark.timeout(300)
def test_applications_on_a_cluster(tmp_path: Path, cluster: Cluster) -> None:
    clock = wall_clock(tmp_path)
    with a_place(cluster, tmp_path) as place:
        with deploying(tmp_path, clock, place.image, on_cluster(place)) as (_, client):
            goes_well(tmp_path, client, clock)
        place.empty()


def on_cluster(place: Place) -> dict[str, str]:
    """Settings without a front door of ours."""
    kubernetes = {
        "KUBECONFIG": str(place.kubeconfig), "NAMESPACE": place.namespace, "MIDDLEWARES_NAMESPACE": place.namespace,
        "REACHED_FROM": "10.0.0.0/8",
    }  # fmt: skip
    named = {f"BINDER_DEPLOY_KUBERNETES_{name}": value for name, value in kubernetes.items()}
    return {"BINDER_DEPLOY_BACKEND": "kubernetes", "BINDER_DEPLOY_MEMORY": "128M", **named}
