"""Commands of the machine and what they are told: deadlines, logs, and no secret among the arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from binder_control.host.base_image import build_arguments, debootstrap_packages, recipe_version
from binder_control.host.engine import libraries
from binder_control.host.facts import Distribution, HostSettings
from binder_control.host.home import WriteConfig, WriteKey
from binder_control.host.machine import HostError, Machine
from binder_control.host.network import BuildNetwork, build_network
from binder_control.host.probe import parse_os_release, parse_version, read_facts
from tests.support.eventually import eventually

OS_RELEASE = """\
PRETTY_NAME="Ubuntu 24.04.1 LTS"
VERSION_ID="24.04"
VERSION_CODENAME=noble
ID=ubuntu
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "logs" / "setup.log")


def test_os_release_is_read_quoted_or_not() -> None:
    assert parse_os_release(OS_RELEASE) == Distribution("ubuntu", "24.04", "noble")
    assert parse_os_release("") == Distribution()


@pytest.mark.parametrize(
    ("text", "version"),
    [("26.1.5+dfsg1", (26, 1, 5)), ("28.2.2", (28, 2, 2)), ("29.0.0-rc.1", (29, 0, 0)), ("dev", ()), ("", ())],
)
def test_versions_are_compared_by_their_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_a_failing_command_tells_its_last_lines_and_keeps_the_rest_in_the_log(machine: Machine) -> None:
    with pytest.raises(HostError, match="line 99") as raised:
        machine.run(["sh", "-c", "seq -f 'line %g' 1 99 >&2; exit 3"])
    assert "line 20\n" not in str(raised.value)
    assert "line 20\n" in machine.log.read_text()


def test_a_command_that_does_not_end_is_ended(machine: Machine) -> None:
    with pytest.raises(HostError, match="longer than"):
        machine.run(["sleep", "30"], timeout=0.2)


def test_a_missing_command_is_named(machine: Machine) -> None:
    with pytest.raises(HostError, match="no-such-program is not installed"):
        machine.run(["no-such-program"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_both_ends_of_a_pipe_must_succeed(machine: Machine) -> None:
    assert machine.pipe(["printf", "abc"], ["wc", "-c"], timeout=10).strip() == "3"
    with pytest.raises(HostError):
        machine.pipe(["false"], ["cat"], timeout=10)
    with pytest.raises(HostError):
        machine.pipe(["true"], ["false"], timeout=10)
    with pytest.raises(HostError, match="longer than"):
        machine.pipe(["sleep", "30"], ["cat"], timeout=0.2)


def test_the_network_of_builds_is_that_of_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    network = build_network(
        {
            "SSL_CERT_FILE": str(tmp_path / "gone.pem"),
            "PIP_CERT": str(bundle),
            "https_proxy": "http://user:secret@proxy.test:3128",
            "PIP_INDEX_URL": "https://user:secret@index.test/simple",
        }
    )
    assert network.ca == bundle
    assert network.proxies == {"HTTPS_PROXY": "http://user:secret@proxy.test:3128"}
    assert "export UV_DEFAULT_INDEX=https://user:secret@index.test/simple\n" in network.script


def test_no_secret_stands_among_the_arguments_of_a_build(tmp_path: Path) -> None:
    network = BuildNetwork(
        tmp_path / "ca.pem",
        {"HTTPS_PROXY": "http://user:secret@proxy.test"},
        {"PIP_INDEX_URL": "https://user:secret@index.test"},
    )
    arguments = build_arguments("debian", "here", network, {"network": tmp_path / "network"})
    assert "--build-arg=HTTPS_PROXY" in arguments
    assert f"--secret=id=network,src={tmp_path}/network" in arguments
    assert "secret@" not in " ".join(arguments)


def test_the_network_script_cannot_break_out_of_its_quotes() -> None:
    network = BuildNetwork(indexes={"PIP_INDEX_URL": "https://x/$(touch /tmp/y)'; rm -rf /"})
    assert network.script == "export PIP_INDEX_URL='https://x/$(touch /tmp/y)'\"'\"'; rm -rf /'\n"


def test_the_recipe_has_another_version_when_one_of_its_files_has_another_byte(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    before = recipe_version(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM b\n")
    assert recipe_version(tmp_path) != before


def test_ubuntu_needs_debians_keys_for_debians_packages() -> None:
    assert debootstrap_packages(Distribution("debian", "13", "trixie")) == ("debootstrap",)
    assert "debian-archive-keyring" in debootstrap_packages(Distribution("ubuntu", "24.04", "noble"))


def test_an_unpacked_engine_gets_the_libraries_that_its_packages_name() -> None:
    fields = ["adduser, libc6 (>= 2.34), libdevmapper1.02.1 (>= 2:1.02) | other\n", "libc6 (>= 2.38), iptables", ""]
    assert libraries(fields) == ["libc6", "libdevmapper1.02.1"]


def test_configuration_and_key_are_written_once(machine: Machine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for action in (WriteConfig(home / "binder.toml"), WriteKey(home)):
        action.perform(machine)
    first = ((home / "binder.toml").read_text(), (home / "key").read_text())
    (home / "key").chmod(0o644)
    for action in (WriteConfig(home / "binder.toml"), WriteKey(home)):
        action.perform(machine)
    assert ((home / "binder.toml").read_text(), (home / "key").read_text()) == first
    assert (home / "key").stat().st_mode & 0o777 == 0o600


def test_facts_are_read_from_this_machine_without_changing_it(tmp_path: Path) -> None:
    facts = read_facts(HostSettings(tmp_path / "home", docker_host=f"unix://{tmp_path}/no.sock"))
    assert facts.distribution.id
    assert facts.memory > 0
    assert facts.disk_free > 0
    assert not facts.config_exists
    assert not (tmp_path / "home").exists()


def test_a_daemon_of_roots_gets_the_signals_that_its_users_supervisor_sends(tmp_path: Path) -> None:
    """sudo is stood in for by a script that does as told: whether sudo lets us is the fresh machine's proof."""
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    ready = tmp_path / "ready"
    daemon = f"trap 'exit 7' TERM; touch {ready}; sleep 30 & wait"
    command = [sys.executable, "-m", "binder_control.host.sudo_daemon", "sh", "-c", daemon]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(command, env=environment) as process:
        eventually(ready.exists)
        process.terminate()
        assert process.wait(10) == 7
