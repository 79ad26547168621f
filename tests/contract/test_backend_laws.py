"""The laws that every backend keeps; each is run against all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from binder_deploy.backends import Backend, Instance, State
from binder_deploy.backends.memory import MemoryBackend
from binder_deploy.launches import Launch
from binder_deploy.settings import DeploySettings
from binder_protocol.errors import ImageNotFound, NoRecord
from binder_protocol.models import PreloadStatus
from tests.support.cluster import Cluster
from tests.support.deploying import IMAGE, SERVER, docker_backend, new_id, python, settings_for
from tests.support.eventually import eventually
from tests.support.frontdoor import Door
from tests.support.places import kubernetes_backend


@dataclass
class World:
    """A backend, and commands that mean the same in each."""

    backend: Backend
    serve: tuple[str, ...]
    end_with_3: tuple[str, ...]
    greet: tuple[str, ...]
    stranger: Callable[[], Backend]
    image: str = IMAGE

    def launch(
        self, command: tuple[str, ...] | None = None, identity: str | None = None, image: str | None = None
    ) -> Launch:
        return Launch(
            id=identity or new_id(), template="law", revision=1, image=image or self.image, token="t" * 32,
            command=command or self.serve, memory=256 * 2**20, cpu=1000, pids=64, cull_timeout=1000,
        )  # fmt: skip


@contextmanager
def _memory(_directory: Path, _request: pytest.FixtureRequest) -> Iterator[World]:
    backend = MemoryBackend(images=frozenset({IMAGE}))
    yield World(backend, ("serve",), ("exit", "3"), ("print", "hello"), lambda: MemoryBackend())
    backend.close()


@contextmanager
def _docker(directory: Path, _request: pytest.FixtureRequest) -> Iterator[World]:
    def settings(name: str) -> DeploySettings:
        return settings_for(directory / name, Door(1, 1), isolation="off")

    with docker_backend(settings("own")) as backend, docker_backend(settings("other")) as other:
        greeting = tuple(python("print('hello', flush=True)\n" + SERVER))
        yield World(backend, tuple(python(SERVER)), tuple(python("raise SystemExit(3)")), greeting, lambda: other)


@contextmanager
def _kubernetes(_directory: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    cluster: Cluster = request.getfixturevalue("cluster")
    with (
        cluster.namespace() as name,
        kubernetes_backend(cluster.kubeconfig, name) as backend,
        kubernetes_backend(cluster.kubeconfig, name) as other,
    ):
        greeting = tuple(python("print('hello', flush=True)\n" + SERVER))
        end_with_3 = tuple(python("raise SystemExit(3)"))
        yield World(backend, tuple(python(SERVER)), end_with_3, greeting, lambda: other, cluster.image(IMAGE))


@pytest.fixture(
    scope="module",
    params=[
        _memory,
        pytest.param(_docker, marks=pytest.mark.docker),
        pytest.param(_kubernetes, marks=pytest.mark.kubernetes),
    ],
)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with request.param(tmp_path_factory.mktemp("laws"), request) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(world: World) -> Iterator[None]:
    yield
    for each in world.backend.instances():
        world.backend.stop(each.id)
    assert world.backend.instances() == []


def _ended(world: World, identity: str) -> Instance:
    def ended() -> Instance | None:
        found = world.backend.instance(identity)
        return found if found is not None and found.state is State.EXITED else None

    return eventually(ended, within=20)


def test_what_is_launched_runs_and_is_found_by_its_id(world: World) -> None:
    launch = world.launch()
    assert world.backend.launch(launch).state is State.RUNNING
    found = world.backend.instance(launch.id)
    assert found is not None
    assert found.address is not None
    assert [each.id for each in world.backend.instances()] == [launch.id]


def test_launching_twice_equals_launching_once(world: World) -> None:
    launch = world.launch()
    first = world.backend.launch(launch)
    assert world.backend.launch(launch).address == first.address
    assert len(world.backend.instances()) == 1


def test_two_that_launch_the_same_at_once_get_one(world: World) -> None:
    launch, results = world.launch(), []
    threads = [threading.Thread(target=lambda: results.append(world.backend.launch(launch))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [each.state for each in results] == [State.RUNNING] * 2
    assert len(world.backend.instances()) == 1


def test_what_ended_is_started_again(world: World) -> None:
    launch = world.launch(world.end_with_3)
    world.backend.launch(launch)
    first = _ended(world, launch.id)
    world.backend.launch(launch)

    def ended_later() -> bool:
        again = world.backend.instance(launch.id)
        return again is not None and again.ended is not None and first.ended is not None and again.ended > first.ended

    eventually(ended_later, within=20)


def test_an_ending_is_told_with_its_exit_code_and_time(world: World) -> None:
    launch = world.launch(world.end_with_3)
    world.backend.launch(launch)
    ended = _ended(world, launch.id)
    assert (ended.exit_code, ended.out_of_memory, ended.address) == (3, False, None)
    assert ended.ended is not None


def test_stopping_leaves_nothing_and_may_be_repeated(world: World) -> None:
    launch = world.launch()
    world.backend.launch(launch)
    world.backend.stop(launch.id)
    world.backend.stop(launch.id)
    assert world.backend.instance(launch.id) is None
    world.backend.stop(new_id())


def test_what_was_printed_is_told_in_order_and_from_its_end(world: World) -> None:
    launch = world.launch(world.greet)
    world.backend.launch(launch)
    eventually(lambda: [line.text for line in world.backend.logs(launch.id)][:1] == ["hello"], within=20)
    assert len(list(world.backend.logs(launch.id, tail=1))) == 1


def test_a_followed_log_ends_with_the_application(world: World) -> None:
    launch = world.launch(world.greet)
    world.backend.launch(launch)
    lines = iter(world.backend.logs(launch.id, follow=True))
    assert next(lines).text == "hello"
    world.backend.stop(launch.id)
    assert all(line.text != "hello" for line in lines)


def test_closing_a_followed_log_ends_the_wait(world: World) -> None:
    launch = world.launch()
    world.backend.launch(launch)
    lines = world.backend.logs(launch.id, follow=True)
    reader = threading.Thread(target=lambda: list(lines), daemon=True)
    reader.start()
    lines.close()
    reader.join(10)
    assert not reader.is_alive()


def test_no_log_is_kept_of_what_is_not_there(world: World) -> None:
    with pytest.raises(NoRecord):
        world.backend.logs(new_id())


def test_endings_are_told_as_they_happen_until_closed(world: World) -> None:
    endings, told = world.backend.endings(), []
    follower = threading.Thread(target=lambda: told.extend(endings), daemon=True)
    follower.start()
    launch = world.launch(world.end_with_3)
    world.backend.launch(launch)
    eventually(lambda: launch.id in told, within=20)
    endings.close()
    follower.join(10)
    assert not follower.is_alive()


def test_an_image_that_is_not_there_is_said_to_be_so_and_nothing_stays(world: World) -> None:
    launch = world.launch(image="sha256:" + "0" * 64)
    with pytest.raises(ImageNotFound):
        world.backend.launch(launch)
    with pytest.raises(ImageNotFound):
        world.backend.preload(launch.image)
    assert world.backend.instance(launch.id) is None


def test_another_suite_sees_and_stops_nothing_of_this_one(world: World) -> None:
    launch, stranger = world.launch(), world.stranger()
    world.backend.launch(launch)
    assert stranger.instance(launch.id) is None
    assert stranger.instances() == []
    stranger.stop(launch.id)
    assert world.backend.instance(launch.id) is not None


def test_what_is_preloaded_and_what_has_room_is_told_where_it_is_known(world: World) -> None:
    world.backend.preload(world.image)
    assert set(world.backend.preloaded(world.image).values()) <= {PreloadStatus.COMPLETED}
    assert world.backend.preloaded("not/there:1") == {}
    room = world.backend.room(world.launch())
    assert room is None or room > 0


def test_a_backend_that_works_answers(world: World) -> None:
    world.backend.ping()
    world.backend.preload(world.image)
