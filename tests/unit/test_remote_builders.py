"""Builders on other machines: which one a repository takes, how they are made, and what shows that one is lost."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from binder_build.registry.builders import (
    Pods,
    RemoteBuilder,
    RemoteBuilders,
    at_addresses,
    daemon_config,
    environment,
)
from binder_build.registry.connections import Connections
from binder_build.registry.files import RemoteFiles
from binder_build.registry.pool import BuilderPool, preference
from binder_build.registry.watch import Successors
from binder_protocol.errors import EngineError
from tests.support.eventually import eventually

NAMES = [f"binder-builder-{number}" for number in range(5)]
KEYS = [f"https://git.example.org/own/{number}" for number in range(1_000)]


def test_repositories_spread_over_the_builders() -> None:
    firsts = Counter(preference(NAMES, key)[0] for key in KEYS)
    assert set(firsts) == {*NAMES}
    assert min(firsts.values()) > len(KEYS) / len(NAMES) / 2


def test_a_repository_keeps_its_builder_whichever_other_one_comes_or_goes() -> None:
    for key in KEYS:
        order = preference(NAMES, key)
        assert preference(reversed(NAMES), key) == order
        for gone in NAMES:
            assert preference([name for name in NAMES if name != gone], key) == [name for name in order if name != gone]


class Builders:
    """Some run; each question is counted."""

    def __init__(self, *running: str) -> None:
        self.running = {*running}
        self.asked: list[str] = []

    def runs(self, name: str) -> bool:
        self.asked.append(name)
        return name in self.running


def test_a_builder_that_is_down_is_passed_over_with_a_note() -> None:
    first, second, *_ = preference(NAMES, "own")
    builders = Builders(*NAMES)
    builders.running.discard(first)
    notes: list[str] = []
    assert next(BuilderPool(NAMES, builders.runs).chosen("own", notes.append)) == second
    assert notes == [f"the builder {first} doesn't answer: {second} takes its place"]


def test_where_none_answers_the_first_is_asked_to_build_and_nothing_is_claimed() -> None:
    notes: list[str] = []
    chosen = BuilderPool(NAMES, Builders().runs).chosen("own", notes.append)
    assert [next(chosen), next(chosen)] == [preference(NAMES, "own")[0]] * 2
    assert notes == []


def test_the_only_builder_is_tried_again() -> None:
    assert [*islice(BuilderPool(["one"], Builders("one").runs).chosen("own", print), 2)] == ["one", "one"]


def test_a_builder_is_asked_once_in_a_while_and_anew_when_it_was_lost() -> None:
    now = [0.0]
    builders = Builders("one")
    pool = BuilderPool(["one"], builders.runs, clock=lambda: now[0])

    def asked() -> int:
        next(pool.chosen("own", print))
        return len(builders.asked)

    assert [asked(), asked()] == [1, 1]
    now[0] = 31.0
    assert asked() == 2
    pool.lost("one")
    assert asked() == 3


def test_a_builder_that_is_down_is_not_asked_by_each_build() -> None:
    first, *_ = preference(NAMES, "own")
    builders = Builders(*NAMES)
    builders.running.discard(first)
    pool = BuilderPool(NAMES, builders.runs)
    for _ in range(3):
        next(pool.chosen("own", print))
    assert builders.asked.count(first) == 1


def test_pods_are_made_by_buildxs_own_driver_each_with_a_name_that_stays() -> None:
    pods = Pods(2, "builders", "registry.example.org/buildkit:1", ("rootless=true", "limits.memory=8Gi"))
    first, second = pods.builders(Path("/state/buildkitd.toml"))
    assert first.creation() == [
        *("create", "--name", "binder-builder-0", "--node", "binder-builder-0-0", "--driver", "kubernetes"),
        *("--driver-opt", "namespace=builders", "--driver-opt", "image=registry.example.org/buildkit:1"),
        *("--driver-opt", "rootless=true", "--driver-opt", "limits.memory=8Gi"),
        *("--config", "/state/buildkitd.toml"),
    ]
    assert second.name == "binder-builder-1"


def test_builders_that_listen_are_known_by_their_address_and_know_us_by_files() -> None:
    (plain,) = at_addresses(["tcp://builder:1234"], None)
    assert plain.creation()[-3:] == ["--driver", "remote", "tcp://builder:1234"]
    (known,) = at_addresses(["tcp://builder:1234"], Path("/certificates"))
    assert known.options == (
        "cacert=/certificates/ca.pem",
        "cert=/certificates/cert.pem",
        "key=/certificates/key.pem",
    )


def test_the_daemons_configuration_says_how_to_reach_the_registry() -> None:
    ca = Path("/ca.pem")
    assert daemon_config("10.0.0.1:5000", plain=True, ca=ca) == '[registry."10.0.0.1:5000"]\n  http = true\n'
    assert daemon_config("r.example.org", plain=False, ca=ca) == '[registry."r.example.org"]\n  ca = ["/ca.pem"]\n'
    assert daemon_config("r.example.org", plain=False, ca=None) == '[registry."r.example.org"]\n'


def test_builders_of_settings_are_in_a_list_of_their_own_and_logins_where_they_are_said_to_be() -> None:
    own = environment(Path("/state/buildx"), Path("/logins"), {"PATH": "/bin", "DOCKER_CONFIG": "/old"})
    assert own == {"PATH": "/bin", "DOCKER_CONFIG": "/logins", "BUILDX_CONFIG": "/state/buildx"}
    named = environment(None, Path("/logins"), {"DOCKER_CONFIG": "/old"})
    assert named == {"DOCKER_CONFIG": "/logins", "BUILDX_CONFIG": "/old/buildx"}


def buildx(folder: Path, script: str) -> RemoteBuilders:
    """Builders of a buildx that is this script."""
    program = folder / "buildx"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    files = {folder / "buildkitd.toml": "x"}
    return RemoteBuilders([RemoteBuilder("one", "remote")], environ={}, files=files, buildx=[str(program)])


def test_a_builder_runs_when_buildx_says_so(tmp_path: Path) -> None:
    builders = buildx(tmp_path, 'echo "$1" >>"$0.log"; echo "Status:                running"')
    assert builders.runs("one")
    assert builders.runs("one")
    assert (tmp_path / "buildx.log").read_text().split() == ["create", "inspect", "inspect"]
    assert (tmp_path / "buildkitd.toml").read_text() == "x"


@pytest.mark.parametrize("said", ['echo "Status: inactive"', 'echo "Status: running"; [ "$1" = create ]'])
def test_one_that_is_at_rest_or_unknown_doesnt(tmp_path: Path, said: str) -> None:
    assert not buildx(tmp_path, said).runs("one")


def test_what_buildx_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the builder one: no such driver"):
        buildx(tmp_path, "echo no such driver; exit 1").make()


def test_a_build_that_has_lost_its_last_connection_is_ended_after_a_while() -> None:
    now, count = [0.0], [0]
    connections = Connections(1, count=lambda _: count[0], clock=lambda: now[0])

    def at(moment: float, connected: int) -> None:
        now[0], count[0] = moment, connected
        connections.check()

    for moment in range(60):
        at(moment, 0)  # it has had none yet
    at(60, 2)
    at(62, 0)
    at(66, 1)  # another one
    at(68, 0)
    at(72.9, 0)
    with pytest.raises(EngineError, match="has ended"):
        at(74, 0)


def test_files_are_handed_over_by_the_builder_that_built(tmp_path: Path) -> None:
    files = RemoteFiles("r.example.org/own@sha256:0", "binder-builder-1", tmp_path, {})
    assert files.arguments(Path("/p"), Path("/p/files.tar")) == [
        *("build", "--builder", "binder-builder-1", "--progress=plain", "--file", "/p/Dockerfile"),
        *("--output", "type=tar,dest=/p/files.tar", "--", "/p/empty"),
    ]


def answering(folder: Path, *hosts: str) -> Callable[[], subprocess.Popen[bytes]]:
    """Questions that are answered with one host name after the other; the last is for ever."""
    left = [*hosts]

    def ask() -> subprocess.Popen[bytes]:
        host = left.pop(0) if len(left) > 1 else left[0]
        text = f"Labels:\n org.mobyproject.buildkit.worker.hostname:         {host}\n" if host else "Status: inactive\n"
        return subprocess.Popen(["echo", text], stdout=subprocess.PIPE, start_new_session=True)

    return ask


def test_a_build_is_ended_once_another_pod_is_the_builder(tmp_path: Path) -> None:
    now = iter(range(0, 1_000, 6))
    successors = Successors(answering(tmp_path, "", "pod-1", "pod-1", "", "pod-2"), clock=lambda: float(next(now)))

    def another() -> bool:
        try:
            successors.check()
        except EngineError:
            return True
        return False

    eventually(another, within=10)


def test_a_builder_that_stays_is_left_alone_and_the_last_question_is_ended(tmp_path: Path) -> None:
    asked: list[subprocess.Popen[bytes]] = []

    def ask() -> subprocess.Popen[bytes]:
        asked.append(subprocess.Popen(["sleep", "100"], stdout=subprocess.PIPE, start_new_session=True))
        return asked[-1]

    moment = [0.0]
    successors = Successors(ask, clock=lambda: moment[0])
    for moment[0] in (0.0, 10.0, 21.0, 22.0, 27.0):
        successors.check()
    assert [each.returncode is None for each in asked] == [False, True]
    successors.close()
    assert asked[-1].returncode is not None
