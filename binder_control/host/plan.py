"""From facts to steps: what set-up does on this machine, and why. Nothing here touches the machine."""

from __future__ import annotations

from collections.abc import Iterator

from binder_control.host.base_image import BuildBase
from binder_control.host.engine import (
    EnableService,
    InstallPackages,
    JoinGroup,
    StartEngine,
    StopEngine,
    UnpackPackages,
    daemon_command,
    engine_packages,
    is_supported,
    newer_suite,
)
from binder_control.host.facts import BASE_IMAGE, Access, Engine, Facts, Silence
from binder_control.host.home import WriteConfig, WriteKey
from binder_control.host.machine import HostError
from binder_control.host.step import Step

_HELPERS = {"runc": "runc", "iptables": "iptables", "docker-init": "tini"}
"""Programs that an unpacked engine needs from the system, and their packages."""

_PLUGINS = {"docker-buildx": "docker-buildx", "docker-compose": "docker-compose"}


def plan(facts: Facts) -> list[Step]:
    """The steps that make this machine ready; none where it is. Raises HostError where setup can't do it."""
    return [*_configuration(facts), *_engine(facts)]


def _configuration(facts: Facts) -> Iterator[Step]:
    if not facts.config_exists:
        file = facts.home / "binder.toml"
        yield Step(f"write {file}", "every setting with its default, as comments", WriteConfig(file))
    if facts.key_mode is None:
        yield Step("make the API key", "requests must carry it", WriteKey(facts.home))
    elif facts.key_mode & 0o077:
        yield Step("close the API key's file to others", "other users can read it", WriteKey(facts.home))


def _engine(facts: Facts) -> Iterator[Step]:
    if facts.engine is Silence.FORBIDDEN:
        yield from _permission(facts)
        return
    if isinstance(facts.engine, Engine):
        yield from _plugins(facts)
        yield from _base(facts)
        return
    if facts.remote_engine:
        raise HostError("the engine named by DOCKER_HOST doesn't answer", "start it, or unset DOCKER_HOST")
    if facts.access is Access.NONE:
        raise HostError("no Docker engine answers, and only root can start one", "run this as root, or install sudo")
    if "dockerd" not in facts.programs:
        yield from _installation(facts)
    else:
        yield from _plugins(facts)
    if facts.systemd:
        unpacked = newer_suite(facts.distribution) is not None and "dockerd" not in facts.programs
        yield Step("start Docker", "systemd runs it from now on", EnableService(unpacked))
        if not facts.is_root and not facts.in_docker_group:
            yield from _permission(facts)
            return
        yield from _base(facts)
    else:
        command = tuple(daemon_command(facts))
        yield Step("start Docker", "no engine answers, and the base image needs one", StartEngine(command))
        yield from _base(facts)
        yield Step("stop Docker", "binder-control start-all runs and watches it from now on", StopEngine())


def _installation(facts: Facts) -> Iterator[Step]:
    distribution = facts.distribution
    if not is_supported(distribution):
        raise HostError(
            f"setup doesn't know how to install Docker on {distribution}",
            "install Docker 23 or newer with its buildx plugin yourself, then run this again",
        )
    packages = engine_packages(distribution)
    newer = newer_suite(distribution)
    if facts.systemd and newer is None:
        yield Step("install Docker", f"from the packages of {distribution}", InstallPackages(packages))
        return
    yield Step(
        "install what Docker needs",
        f"from the packages of {distribution}",
        InstallPackages(("ca-certificates", *_HELPERS.values())),
    )
    reason = f"the engine of {distribution} is too old" if newer else "there is no systemd to run an installed one"
    yield Step("unpack Docker", reason, UnpackPackages(distribution, newer, packages))


def _plugins(facts: Facts) -> Iterator[Step]:
    missing = tuple(package for plugin, package in _PLUGINS.items() if plugin not in facts.plugins)
    if facts.distribution.id == "ubuntu":
        missing = tuple("docker-compose-v2" if name == "docker-compose" else name for name in missing)
    if "docker-buildx" not in facts.plugins and is_supported(facts.distribution) and facts.access is not Access.NONE:
        step = UnpackPackages(facts.distribution, newer_suite(facts.distribution), missing)
        yield Step("unpack Docker's plugins", "BuildKit is driven by buildx", step)


def _permission(facts: Facts) -> Iterator[Step]:
    """The engine runs, and this user may not speak to it yet. What is left to do with it, root does this once."""
    if facts.in_docker_group:
        raise HostError(
            "this login isn't in the group docker yet", "log in again, or: sg docker 'binder-control setup'"
        )
    if facts.access is Access.NONE:
        raise HostError(f"{facts.user} may not speak to the Docker engine", f"usermod -aG docker {facts.user}")
    yield Step(f"let {facts.user} use Docker", "its socket is for the group docker", JoinGroup(facts.user))
    yield from _base(facts, as_root=True)


def _base(facts: Facts, *, as_root: bool = False) -> Iterator[Step]:
    if facts.base is None or facts.base.version != facts.wanted_base:
        reason = "every image stands on it" if facts.base is None else "its recipe has changed"
        yield Step(f"make {BASE_IMAGE}", reason, BuildBase(facts.distribution, as_root))
