"""Getting a Docker engine: from the distribution where systemd can run it, else unpacked into a directory of our own.

Debian 12 has an engine of 2020 without BuildKit's client, so its successor's packages are used. They are unpacked below
/opt/binder/engine instead of installed from a pinned source: apt's configuration stays as it is, no later upgrade of
the system can pull half of another release in, an engine that is already there is not touched, no package script starts
a daemon behind our back where there is no systemd, and removing it is removing a directory. What the engine needs from
the system (runc, iptables) comes from the system's own release, as usual. The directory belongs to root, since root
runs what is in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from binder_control.host import apt
from binder_control.host.facts import Access, Distribution, Facts
from binder_control.host.machine import HostError, Machine

DIRECTORY = Path("/opt/binder/engine")
"""Where the engine's packages are unpacked; it belongs to root."""

DATA_ROOT = Path("/var/lib/docker")
PID_FILE = Path("/var/run/docker.pid")
_PLUGINS = Path("/usr/local/lib/docker/cli-plugins")
_UNIT = Path("/etc/systemd/system/docker.service")
_START_SECONDS = 60
_LAST_LINES = 5
_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "--yes", "--quiet")


def search_path() -> str:
    """PATH for the engine and its helpers: our own directory first."""
    places = [DIRECTORY / "usr/sbin", DIRECTORY / "usr/bin"]
    return ":".join([*map(str, places), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def daemon_command(facts: Facts) -> list[str]:
    """The engine as a process to be supervised; it stays in the foreground and answers on the usual socket.

    Containers outlive it (`live-restore`): a restart of the engine doesn't end anybody's work. The socket belongs to
    the group of whoever runs the suite, so that no new login is needed.
    """
    dockerd = [
        "env",
        f"PATH={search_path()}",
        "dockerd",
        "--host=unix:///var/run/docker.sock",
        f"--data-root={DATA_ROOT}",
        f"--pidfile={PID_FILE}",
        f"--group={facts.group_id}",
        "--live-restore",
        "--log-opt=max-size=10m",
        "--log-opt=max-file=2",
    ]
    if facts.access is Access.ROOT:
        return dockerd
    return [sys.executable, "-P", "-m", "binder_control.host.sudo_daemon", *dockerd]


def newer_suite(distribution: Distribution) -> str | None:
    """The release whose engine is used instead of the machine's own, where that is too old."""
    return "trixie" if distribution.id == "debian" and distribution.version == "12" else None


def is_supported(distribution: Distribution) -> bool:
    """Whether setup can install an engine here."""
    version = tuple(int(part) for part in distribution.version.split(".") if part.isdigit())
    return (distribution.id == "debian" and version >= (12,)) or (distribution.id == "ubuntu" and version >= (24, 4))


def engine_packages(distribution: Distribution) -> tuple[str, ...]:
    """The distribution's packages of engine, command, BuildKit's client and compose."""
    if distribution.id == "ubuntu":
        return ("docker.io", "containerd", "docker-buildx", "docker-compose-v2")
    return ("docker.io", "containerd", "docker-cli", "docker-buildx", "docker-compose")


@dataclass(frozen=True)
class InstallPackages:
    """Packages of the machine's own release."""

    packages: tuple[str, ...]

    def perform(self, machine: Machine) -> None:
        machine.run([*_APT, "update"], root=True, timeout=300)
        machine.run([*_APT, "install", "--no-install-recommends", *self.packages], root=True, timeout=1_200)


@dataclass(frozen=True)
class UnpackPackages:
    """Packages of `suite` (None: the machine's own release) below `directory`, without installing them."""

    distribution: Distribution
    suite: str | None
    packages: tuple[str, ...]
    directory: Path = DIRECTORY

    def perform(self, machine: Machine) -> None:
        with tempfile.TemporaryDirectory(prefix="binder-apt-") as name:
            work = Path(name)
            # apt reads its lists as another user when root runs it.
            work.chmod(0o755)
            archives = self._download(machine, work)
            if not self.suite:
                self._install_libraries(machine, archives)
            machine.run(["mkdir", "-p", str(self.directory)], root=True)
            for archive in archives:
                machine.run(["dpkg-deb", "--extract", str(archive), str(self.directory)], root=True)
        self._link(machine)

    def _download(self, machine: Machine, work: Path) -> Sequence[Path]:
        """An apt of its own: its configuration, lists and cache lie in `work`, the machine's are left alone."""
        options: list[str] = []
        if self.suite:
            options = self._own_apt(work)
            machine.run(["apt-get", *options, "--quiet", "update"], timeout=300)
        machine.run(["apt-get", *options, "--quiet", "download", *self.packages], timeout=900, directory=work)
        return sorted(work.glob("*.deb"))

    def _install_libraries(self, machine: Machine, archives: Sequence[Path]) -> None:
        fields = [machine.run(["dpkg-deb", "--field", str(archive), "Depends"]) for archive in archives]
        machine.run([*_APT, "install", "--no-install-recommends", *libraries(fields)], root=True, timeout=600)

    def _own_apt(self, work: Path) -> list[str]:
        assert self.suite
        sources = apt.retargeted(apt.read_sources(), self.distribution.codename, self.suite)
        if not sources:
            raise HostError(
                f"apt's sources name no packages of {self.distribution}",
                "Look at /etc/apt/sources.list.d, or install Docker 23 or newer yourself",
            )
        for part in ("sources.d", "preferences.d", "lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        stanzas = "\n".join(source.stanza() for source in sources)
        (work / "sources.d" / "newer.sources").write_text(stanzas, encoding="utf-8")
        places = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": work / "sources.d",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": work / "preferences.d",
            "Dir::State::Lists": work / "lists",
            "Dir::Cache": work / "cache",
            "APT::Sandbox::User": "",
        }
        return [word for name, value in places.items() for word in ("-o", f"{name}={value}")]

    def _link(self, machine: Machine) -> None:
        """Make the command and its plugins known where Docker looks for them; what is there already stays."""
        links = {
            _PLUGINS / path.name: path
            for path in sorted((self.directory / "usr/libexec/docker/cli-plugins").glob("docker-*"))
        }
        docker = self.directory / "usr/bin/docker"
        if docker.exists():
            links[Path("/usr/local/bin/docker")] = docker
        init = self.directory / "usr/bin/docker-init"
        if init.is_symlink() and not init.exists():
            links[init.parent / init.readlink()] = Path("/usr/bin/tini-static")
        for link, target in links.items():
            if not link.exists():
                machine.run(["mkdir", "-p", str(link.parent)], root=True)
                machine.run(["ln", "-sfn", str(target), str(link)], root=True)


def libraries(depends: Iterable[str]) -> list[str]:
    """The shared libraries among packages' dependencies, as in `libc6 (>= 2.34), libseccomp2 | other`."""
    names = {entry.split("|")[0].split("(")[0].strip() for field in depends for entry in field.split(",")}
    return sorted(name for name in names if name.startswith("lib"))


@dataclass(frozen=True)
class EnableService:
    """Have systemd run the engine, now and after each boot. `unpacked`: ours, which has no unit of its own yet."""

    unpacked: bool = False

    def perform(self, machine: Machine) -> None:
        if self.unpacked:
            machine.run(["groupadd", "--system", "--force", "docker"], root=True)
            machine.write(_UNIT, unit_text())
            machine.run(["systemctl", "daemon-reload"], root=True)
        machine.run(["systemctl", "enable", "--now", "docker"], root=True, timeout=120)


def unit_text() -> str:
    """A systemd unit for the engine below DIRECTORY."""
    return f"""\
# Written by `binder-control setup`.
[Unit]
Description=Docker engine of Binder
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
Environment=PATH={DIRECTORY}/usr/sbin:{DIRECTORY}/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={DIRECTORY}/usr/sbin/dockerd --host=unix:///var/run/docker.sock --group=docker --live-restore
Restart=always
RestartSec=2
LimitNOFILE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class JoinGroup:
    """Let a user speak to an engine that systemd runs; it counts from the next login (or under `sg docker`)."""

    user: str

    def perform(self, machine: Machine) -> None:
        machine.run(["usermod", "--append", "--groups", "docker", self.user], root=True)


@dataclass(frozen=True)
class StartEngine:
    """Start an engine for the time of set-up, and wait until it answers; `start-all` supervises its own."""

    command: tuple[str, ...]

    def perform(self, machine: Machine) -> None:
        machine.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with machine.log.open("ab") as log:
            engine = subprocess.Popen(
                list(self.command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(machine):
            if engine.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(machine.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
                raise HostError(
                    f"the Docker engine doesn't start:\n{last}", f"see {machine.log}", "binder-control doctor"
                )
            time.sleep(0.1)


@dataclass(frozen=True)
class StopEngine:
    """End the engine of StartEngine; containers go on."""

    def perform(self, machine: Machine) -> None:
        pid = machine.run(["cat", str(PID_FILE)], root=True).strip()
        # The shell's own kill: a small system has no other.
        machine.run(["sh", "-c", 'kill -TERM "$1"', "sh", pid], root=True)
        deadline = time.monotonic() + _START_SECONDS
        while _answers(machine) or Path("/proc", pid).exists():
            if time.monotonic() > deadline:
                raise HostError(f"the Docker engine (pid {pid}) doesn't end", f"kill {pid}")
            time.sleep(0.1)


def _answers(machine: Machine) -> bool:
    try:
        machine.run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
    except HostError:
        return False
    return True
