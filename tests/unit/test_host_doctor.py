"""What doctor finds: facts in, findings with the command that mends them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from binder_control.host.doctor import diagnose
from binder_control.host.facts import Access, Base, Distribution, Engine, Facts, Silence
from binder_protocol.findings import Finding, Verdict

GIB = 1 << 30
ENGINE = Engine((26, 1, 5), "overlay2", Path("/var/lib/docker"))
HEALTHY = Facts(
    distribution=Distribution("debian", "13", "trixie"),
    access=Access.ROOT,
    systemd=False,
    home=Path("/root/.binder"),
    engine=ENGINE,
    wanted_base="2",
    base=Base("sha256:0123456789abcdef", "2"),
    programs=frozenset({"docker", "dockerd"}),
    plugins=frozenset({"docker-buildx"}),
    disk_free=100 * GIB,
    memory=8 * GIB,
    config_exists=True,
    key_mode=0o600,
)


def found(facts: Facts) -> list[Finding]:
    return [finding for finding in diagnose(facts) if finding.verdict is not Verdict.OK]


def test_a_healthy_machine_has_no_complaints() -> None:
    assert found(HEALTHY) == []


@pytest.mark.parametrize(
    ("facts", "check", "verdict", "mend"),
    [
        (replace(HEALTHY, engine=Silence.ABSENT, programs=frozenset()), "engine", "failed", "binder-control setup"),
        (replace(HEALTHY, engine=Silence.ABSENT), "engine", "failed", "binder-control start-all"),
        (replace(HEALTHY, engine=Silence.ABSENT, systemd=True), "engine", "failed", "systemctl start docker"),
        (
            replace(HEALTHY, engine=Silence.FORBIDDEN, user="ada", in_docker_group=False),
            "engine",
            "failed",
            "sudo usermod -aG docker ada, and log in again",
        ),
        (replace(HEALTHY, engine=Silence.FORBIDDEN), "engine", "failed", "log in again"),
        (replace(HEALTHY, engine=replace(ENGINE, version=(20, 10, 24))), "engine", "warning", "install Docker 23"),
        (replace(HEALTHY, engine=replace(ENGINE, storage_driver="vfs")), "storage", "warning", "ext4"),
        (replace(HEALTHY, engine=replace(ENGINE, memory_limits=False)), "memory limits", "warning", "cgroup_enable"),
        (replace(HEALTHY, engine=replace(ENGINE, pids_limits=False)), "process limits", "warning", "cgroup"),
        (replace(HEALTHY, plugins=frozenset()), "buildx", "warning", "binder-control setup"),
        (replace(HEALTHY, firewall=False), "firewall", "failed", "apt-get install iptables"),
        (replace(HEALTHY, access=Access.PASSWORD, user="ada"), "rights", "failed", "NOPASSWD"),
        (replace(HEALTHY, access=Access.NONE), "rights", "failed", "sudoers"),
        (replace(HEALTHY, base=None), "base image", "failed", "binder-control setup"),
        (replace(HEALTHY, base=Base("sha256:1", "1")), "base image", "warning", "binder-control setup"),
        (replace(HEALTHY, disk_free=GIB), "disk", "failed", "docker image prune"),
        (replace(HEALTHY, disk_free=10 * GIB), "disk", "warning", "docker image prune"),
        (replace(HEALTHY, memory=GIB), "memory", "warning", "2 GiB"),
        (replace(HEALTHY, python=(3, 10)), "Python", "failed", "Python 3.11"),
        (replace(HEALTHY, distribution=Distribution("fedora", "43", "")), "system", "warning", "yourself"),
        (replace(HEALTHY, config_exists=False), "configuration", "warning", "binder-control setup"),
        (replace(HEALTHY, key_mode=None), "key", "failed", "binder-control setup"),
        (replace(HEALTHY, key_mode=0o640), "key", "failed", "chmod 600 /root/.binder/key"),
        (replace(HEALTHY, busy_ports={"build": 8082}), "port 8082", "failed", "another port for build"),
    ],
)
def test_each_fault_is_found_alone_and_says_what_mends_it(facts: Facts, check: str, verdict: str, mend: str) -> None:
    (finding,) = found(facts)
    assert finding.check == check
    assert finding.verdict.value == verdict
    assert mend in finding.mend


def test_ports_of_the_running_suite_are_no_fault() -> None:
    assert found(replace(HEALTHY, busy_ports={"build": 8082}, suite_runs=True)) == []
