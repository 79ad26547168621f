"""What set-up would do on machines of many kinds: facts in, steps out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from binder_control.host.base_image import BuildBase
from binder_control.host.engine import (
    DIRECTORY,
    EnableService,
    InstallPackages,
    JoinGroup,
    StartEngine,
    StopEngine,
    UnpackPackages,
    daemon_command,
)
from binder_control.host.facts import Access, Base, Distribution, Engine, Facts, Silence
from binder_control.host.home import WriteConfig, WriteKey
from binder_control.host.machine import HostError, Machine
from binder_control.host.plan import plan
from binder_control.host.step import Step, run

HOME = Path("/home/ada/.binder")
DEBIAN_12 = Distribution("debian", "12", "bookworm")
DEBIAN_13 = Distribution("debian", "13", "trixie")
UBUNTU = Distribution("ubuntu", "24.04", "noble")
ENGINE = Engine((26, 1, 5), "overlay2", Path("/var/lib/docker"))

READY = Facts(
    distribution=DEBIAN_12,
    access=Access.ROOT,
    systemd=False,
    home=HOME,
    engine=ENGINE,
    wanted_base="2",
    base=Base("sha256:1", "2"),
    programs=frozenset({"docker", "dockerd"}),
    plugins=frozenset({"docker-buildx", "docker-compose"}),
    config_exists=True,
    key_mode=0o600,
)
FRESH = replace(
    READY,
    engine=Silence.ABSENT,
    base=None,
    programs=frozenset(),
    plugins=frozenset(),
    config_exists=False,
    key_mode=None,
)
CONFIGURED = replace(FRESH, config_exists=True, key_mode=0o600)


def actions(facts: Facts) -> list[object]:
    return [step.action for step in plan(facts)]


def test_nothing_is_done_where_everything_is_there() -> None:
    assert plan(READY) == []


def test_a_fresh_debian_12_gets_the_newer_engine_in_a_directory_of_its_own() -> None:
    command = tuple(daemon_command(FRESH))
    assert actions(FRESH) == [
        WriteConfig(HOME / "binder.toml"),
        WriteKey(HOME),
        InstallPackages(("ca-certificates", "runc", "iptables", "tini")),
        UnpackPackages(
            DEBIAN_12, "trixie", ("docker.io", "containerd", "docker-cli", "docker-buildx", "docker-compose")
        ),
        StartEngine(command),
        BuildBase(DEBIAN_12),
        StopEngine(),
    ]


def test_every_step_says_why() -> None:
    assert all(step.name and step.reason for step in plan(FRESH))


@pytest.mark.parametrize(
    ("distribution", "packages"),
    [
        (DEBIAN_13, ("docker.io", "containerd", "docker-cli", "docker-buildx", "docker-compose")),
        (UBUNTU, ("docker.io", "containerd", "docker-buildx", "docker-compose-v2")),
    ],
    ids=str,
)
def test_where_systemd_runs_the_distributions_own_engine_is_installed(
    distribution: Distribution, packages: tuple[str, ...]
) -> None:
    facts = replace(CONFIGURED, distribution=distribution, systemd=True)
    assert actions(facts) == [InstallPackages(packages), EnableService(), BuildBase(distribution)]


@pytest.mark.parametrize("distribution", [DEBIAN_13, UBUNTU], ids=str)
def test_without_systemd_the_distributions_own_engine_is_unpacked(distribution: Distribution) -> None:
    found = actions(replace(CONFIGURED, distribution=distribution))
    assert [action.suite for action in found if isinstance(action, UnpackPackages)] == [None]


def test_on_debian_12_systemd_gets_a_unit_for_the_unpacked_engine() -> None:
    assert EnableService(unpacked=True) in actions(replace(CONFIGURED, systemd=True))


def test_an_engine_that_lies_there_unpacked_is_started_and_the_base_made() -> None:
    facts = replace(CONFIGURED, programs=READY.programs, plugins=READY.plugins)
    assert actions(facts) == [StartEngine(tuple(daemon_command(facts))), BuildBase(DEBIAN_12), StopEngine()]


def test_a_user_of_systemds_engine_joins_its_group_and_root_makes_the_base_for_now() -> None:
    facts = replace(
        CONFIGURED, distribution=DEBIAN_13, systemd=True, access=Access.SUDO, user="ada", in_docker_group=False
    )
    assert actions(facts)[-2:] == [JoinGroup("ada"), BuildBase(DEBIAN_13, as_root=True)]
    assert actions(replace(facts, engine=Silence.FORBIDDEN)) == [
        JoinGroup("ada"),
        BuildBase(DEBIAN_13, as_root=True),
    ]


def test_only_the_missing_plugin_is_added_to_an_engine_that_answers() -> None:
    facts = replace(READY, plugins=frozenset({"docker-compose"}))
    assert actions(facts) == [UnpackPackages(DEBIAN_12, "trixie", ("docker-buildx",))]


def test_another_system_without_buildx_is_left_as_it_is() -> None:
    facts = replace(READY, distribution=Distribution("fedora", "43", ""), plugins=frozenset())
    assert plan(facts) == []


def test_a_base_of_an_older_recipe_is_made_again() -> None:
    (step,) = plan(replace(READY, base=Base("sha256:1", "1")))
    assert step.action == BuildBase(DEBIAN_12)
    assert step.reason == "its recipe has changed"


def test_a_key_that_others_can_read_is_closed() -> None:
    assert actions(replace(READY, key_mode=0o644)) == [WriteKey(HOME)]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(CONFIGURED, distribution=Distribution("fedora", "43", "")), "Fedora 43"),
        (replace(CONFIGURED, distribution=Distribution("debian", "11", "bullseye")), "Debian 11"),
        (replace(CONFIGURED, distribution=Distribution("ubuntu", "22.04", "jammy")), "Ubuntu 22.04"),
        (replace(CONFIGURED, distribution=Distribution()), "an unknown system"),
        (replace(CONFIGURED, access=Access.NONE), "only root"),
        (replace(CONFIGURED, remote_engine=True), "DOCKER_HOST"),
        (replace(CONFIGURED, engine=Silence.FORBIDDEN, access=Access.NONE, in_docker_group=False), "may not speak"),
        (replace(CONFIGURED, engine=Silence.FORBIDDEN, access=Access.SUDO), "isn't in the group docker yet"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_changed(facts: Facts, said: str) -> None:
    with pytest.raises(HostError, match=said) as raised:
        plan(facts)
    assert raised.value.suggestions


def test_the_engine_keeps_containers_over_its_restart_and_opens_its_socket_to_the_users_group() -> None:
    facts = replace(FRESH, access=Access.SUDO, group_id=1000)
    command = daemon_command(facts)
    assert "binder_control.host.sudo_daemon" in command
    assert {"--live-restore", "--group=1000"} <= set(command)
    assert any(word.startswith(f"PATH={DIRECTORY}/usr/sbin:") for word in command)


def test_steps_are_done_in_order_until_one_fails(tmp_path: Path) -> None:
    done: list[str] = []

    class Note:
        def __init__(self, name: str, *, fails: bool = False) -> None:
            self.name, self.fails = name, fails

        def perform(self, machine: Machine) -> None:
            if self.fails:
                raise HostError("no")
            done.append(self.name)

    steps = [Step(name, "", Note(name, fails=name == "c")) for name in "abcd"]
    told: list[tuple[str, bool]] = []
    with pytest.raises(HostError):
        run(steps, Machine(tmp_path / "log"), lambda step, seconds: told.append((step.name, seconds is not None)))
    assert done == ["a", "b"]
    assert told == [("a", False), ("a", True), ("b", False), ("b", True), ("c", False)]
