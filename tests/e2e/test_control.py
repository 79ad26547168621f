"""binder-control as people use it: real supervisord, real services, real Traefik, real engine."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.eventually import eventually
from tests.support.suite import SERVICES, Suite, suite

pytestmark = pytest.mark.docker
PROGRAMS = {*SERVICES, "front-door"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with suite(tmp_path_factory.mktemp("suite") / "home") as found:
        started = found.control("start-all")
        assert started.returncode == 0, started.stderr
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Suite]:
    with suite(tmp_path / "home") as found:
        yield found


def ours(found: Suite) -> list[psutil.Process]:
    """Every process that belongs to this suite."""
    return [process for process in psutil.process_iter() if _home_of(process) == str(found.home)]


def _home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("BINDER_HOME")
    except psutil.Error:
        return None


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def seconds_until_back(running: Suite, service: str) -> float:
    os.kill(running.status()[service]["pid"], signal.SIGKILL)
    since = time.monotonic()
    eventually(lambda: answers(f"http://127.0.0.1:{running.ports[service]}/readyz"), within=20)
    return time.monotonic() - since


def test_everything_is_ready_when_start_all_returns(running: Suite) -> None:
    rows = running.status()

    assert set(rows) == PROGRAMS
    assert {row["state"] for row in rows.values()} == {"running"}
    assert all(row["healthy"] for row in rows.values())


def test_status_shows_the_process_its_time_and_what_it_takes(running: Suite) -> None:
    row = running.status()["registry"]

    assert psutil.Process(row["pid"]).cmdline()[-1] == "binder_registry"
    assert row["uptime"] >= 0
    assert row["memory"] > 10 * 2**20
    assert "registry" in running.control("status").stdout


def test_starting_twice_says_what_already_runs_and_changes_nothing(running: Suite) -> None:
    before = {name: row["pid"] for name, row in running.status().items()}

    again = running.control("start-all")

    assert again.returncode == 0
    assert again.stderr.count("runs already") == len(PROGRAMS)
    assert {name: row["pid"] for name, row in running.status().items()} == before


def test_start_all_ends_with_address_and_key_and_keys_show_prints_the_key_alone(running: Suite) -> None:
    printed = running.control("start-all").stdout.split()

    assert printed == ["address", running.url, "key", running.key]
    assert running.control("keys", "show").stdout == f"{running.key}\n"


def test_the_key_is_in_no_command_line_and_no_log(running: Suite) -> None:
    commands = [" ".join(process.cmdline()) for process in ours(running)]
    texts = [file.read_text() for file in (running.home / "logs").iterdir()]
    texts.append((running.home / "control" / "supervisord.conf").read_text())

    assert not any(running.key in text for text in (*commands, *texts))


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_is_back_within_three_seconds(running: Suite, service: str) -> None:
    killed = running.status()[service]["pid"]
    took = [seconds_until_back(running, service)]
    if took[0] >= 3:  # a busy machine may make any start slow, but hardly twice
        took.append(seconds_until_back(running, service))

    assert min(took) < 3
    assert running.status()[service]["pid"] != killed


def test_one_service_is_stopped_and_started_while_the_others_go_on(running: Suite) -> None:
    before = running.status()

    running.control("stop", "health")
    stopped = running.control("status", "--json")
    started = running.control("start", "health")

    assert stopped.returncode == 3
    assert started.returncode == 0
    after = running.status()
    assert after["health"]["state"] == "running"
    assert after["registry"]["pid"] == before["registry"]["pid"]


def test_restart_makes_a_new_process(running: Suite) -> None:
    before = running.status()["health"]["pid"]

    assert running.control("restart", "health").returncode == 0

    assert running.status()["health"]["pid"] != before


def test_logs_show_one_service_alone_or_all_with_their_names(running: Suite) -> None:
    one = running.control("logs", "registry").stdout
    everything = running.control("logs").stdout

    assert '"service": "registry"' in one
    assert '"service": "build"' not in one
    assert "\nregistry " in f"\n{everything}"


def test_logs_are_followed_across_a_rotation(running: Suite, tmp_path: Path) -> None:
    file, printed = running.home / "logs" / "front-door.log", tmp_path / "printed"

    def says(word: str) -> bool:
        with file.open("a") as log:
            log.write(f"{word}\n")
        return word in printed.read_text()

    with printed.open("w") as out, running.call("binder-control", "logs", "-f", "-n", "0", "front-door", out=out):
        eventually(lambda: says("before"), within=30, every=0.3)
        file.rename(file.with_name("front-door.log.1"))
        file.touch()
        eventually(lambda: says("after"), within=30, every=0.3)


def test_two_at_once_start_one_suite_and_stop_all_leaves_no_process_and_no_port(fresh: Suite, tmp_path: Path) -> None:
    said = [tmp_path / "one", tmp_path / "two"]
    with (
        said[0].open("w") as one,
        said[1].open("w") as two,
        fresh.call("binder-control", "start-all", err=one) as first,
        fresh.call("binder-control", "start-all", err=two) as second,
    ):
        assert (first.wait(120), second.wait(120)) == (0, 0)
    assert sum("runs already" in file.read_text() for file in said) == 1
    assert len([each for each in ours(fresh) if "binder_control.supervisord" in each.cmdline()]) == 1

    stopped = fresh.control("stop-all")

    assert stopped.returncode == 0, stopped.stderr
    assert ours(fresh) == []
    for port in fresh.ports.values():
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert "nothing was running" in fresh.control("stop-all").stderr
    assert fresh.control("status").returncode == 3


def test_a_taken_port_is_named_with_its_owner_and_setting_and_nothing_is_started(fresh: Suite) -> None:
    with socket.create_server(("127.0.0.1", fresh.ports["deploy"])):
        failed = fresh.control("start-all")

    assert failed.returncode == 1
    assert str(fresh.ports["deploy"]) in failed.stderr
    assert f"pid {os.getpid()}" in failed.stderr
    assert "[deploy] port" in failed.stderr
    assert ours(fresh) == []


def test_a_typo_in_the_configuration_starts_nothing_and_can_still_be_stopped(fresh: Suite) -> None:
    fresh.write_config(build="worker = 3\n")

    failed = fresh.control("start-all")

    assert failed.returncode == 78
    assert "line " in failed.stderr
    assert "did you mean workers?" in failed.stderr
    assert ours(fresh) == []


def test_a_suite_can_be_stopped_although_its_configuration_was_broken_meanwhile(fresh: Suite) -> None:
    assert fresh.control("start-all").returncode == 0
    fresh.write_config(build="worker = 3\n")

    stopped = fresh.control("stop-all")

    assert stopped.returncode == 0, stopped.stderr
    assert ours(fresh) == []


def test_a_service_that_cannot_start_is_told_with_its_last_lines_and_nothing_stays(fresh: Suite) -> None:
    fresh.write_config(registry="database-url = 'sqlite:////proc/nowhere/state.db'\n")

    failed = fresh.control("start-all")

    assert failed.returncode == 1
    assert "registry" in failed.stderr
    assert "its last lines" in failed.stderr
    assert ours(fresh) == []


def test_what_outlived_a_killed_supervisord_is_taken_away_before_the_next_start(fresh: Suite) -> None:
    assert fresh.control("start-all").returncode == 0
    before = {row["pid"] for row in fresh.status().values()}
    os.kill(int((fresh.home / "control" / "supervisord.pid").read_text()), signal.SIGKILL)

    again = fresh.control("start-all")

    assert again.returncode == 0, again.stderr
    assert not before & {process.pid for process in ours(fresh)}
    assert set(fresh.status()) == PROGRAMS


def test_without_an_engine_start_all_says_so_and_starts_nothing(fresh: Suite) -> None:
    fresh.write_config(deploy=f"docker-url = 'unix://{fresh.home}/no.sock'\n")

    failed = fresh.control("start-all")

    assert failed.returncode == 1
    assert "no Docker engine answers" in failed.stderr
    assert "binder-control setup" in failed.stderr
    assert ours(fresh) == []
