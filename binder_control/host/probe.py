"""Reads facts from the machine. Nothing is changed, every wait has a deadline, and all of it takes about a second."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import docker
import psutil
import requests
from docker.errors import DockerException, ImageNotFound

from binder_control.host.base_image import VERSION_LABEL, recipe_version
from binder_control.host.engine import search_path
from binder_control.host.facts import (
    BASE_IMAGE,
    Access,
    Base,
    Distribution,
    Engine,
    Facts,
    HostSettings,
    Silence,
)

_ANSWER_SECONDS = 10
_PROGRAMS = ("docker", "dockerd", "containerd", "runc", "iptables", "docker-init", "debootstrap", "git")
_PLUGIN_PLACES = (
    Path("~/.docker/cli-plugins"),
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)


def read_facts(settings: HostSettings) -> Facts:
    """One look at this machine."""
    engine, base = _engine(settings.docker_host)
    root = engine.root if isinstance(engine, Engine) else Path("/var/lib")
    account = pwd.getpwuid(os.geteuid())
    key = settings.home / "key"
    return Facts(
        distribution=parse_os_release(_text(Path("/etc/os-release"))),
        access=_access(),
        systemd=Path("/run/systemd/system").is_dir(),
        home=settings.home,
        engine=engine,
        wanted_base=recipe_version(),
        base=base,
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name, path=search_path())),
        plugins=_plugins(),
        python=sys.version_info[:2],
        user=account.pw_name,
        group_id=os.getegid(),
        in_docker_group=account.pw_name in _members("docker") or os.geteuid() == 0,
        remote_engine=not settings.docker_host.startswith("unix://"),
        disk_free=shutil.disk_usage(_existing(root)).free,
        memory=psutil.virtual_memory().total,
        firewall=_firewall(),
        config_exists=settings.config.exists(),
        key_mode=key.stat().st_mode & 0o777 if key.exists() else None,
        busy_ports={name: port for name, port in settings.ports.items() if _is_busy(port)},
    )


def parse_os_release(text: str) -> Distribution:
    """The three fields of os-release(5) that matter; the others are nobody's business."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    plain = {name: value.strip().strip("\"'") for name, value in fields.items()}
    return Distribution(plain.get("ID", ""), plain.get("VERSION_ID", ""), plain.get("VERSION_CODENAME", ""))


def parse_version(text: str) -> tuple[int, ...]:
    """`26.1.5+dfsg1` is (26, 1, 5)."""
    numbers = []
    for part in text.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _engine(docker_host: str) -> tuple[Engine | Silence, Base | None]:
    path = Path(docker_host.removeprefix("unix://"))
    if docker_host.startswith("unix://") and not path.exists():
        return Silence.ABSENT, None
    try:
        client = docker.DockerClient(base_url=docker_host, timeout=_ANSWER_SECONDS)
        try:
            return _described(client.info()), _base(client)
        finally:
            client.close()
    except (DockerException, requests.exceptions.RequestException, OSError):
        refused = path.is_socket() and not os.access(path, os.R_OK | os.W_OK)
        return (Silence.FORBIDDEN if refused else Silence.ABSENT), None


def _described(info: Mapping[str, object]) -> Engine:
    return Engine(
        version=parse_version(str(info.get("ServerVersion", ""))),
        storage_driver=str(info.get("Driver", "")),
        root=Path(str(info.get("DockerRootDir", "/var/lib/docker"))),
        memory_limits=bool(info.get("MemoryLimit")),
        pids_limits=bool(info.get("PidsLimit")),
    )


def _base(client: docker.DockerClient) -> Base | None:
    try:
        image = client.images.get(BASE_IMAGE)
    except ImageNotFound:
        return None
    return Base(str(image.id), image.labels.get(VERSION_LABEL, ""))


def _plugins() -> frozenset[str]:
    return frozenset(
        path.name
        for place in _PLUGIN_PLACES
        for path in place.expanduser().glob("docker-*")
        if os.access(path, os.X_OK)
    )


def _access() -> Access:
    if os.geteuid() == 0:
        return Access.ROOT
    if not shutil.which("sudo"):
        return Access.NONE
    return Access.SUDO if _succeeds("sudo", "--non-interactive", "true") else Access.PASSWORD


def _members(group: str) -> list[str]:
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def _firewall() -> bool:
    """Whether iptables works here; where only root can tell, it is taken to."""
    if os.geteuid() != 0:
        return True
    iptables = shutil.which("iptables", path=search_path())
    if not iptables:
        return False
    return _succeeds(iptables, "--wait", "5", "--list-rules", "INPUT")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=_ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_busy(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
