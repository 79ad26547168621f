"""What is wrong with a machine, and the command that mends it. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from binder_control.host.engine import is_supported
from binder_control.host.facts import BASE_IMAGE, Access, Engine, Facts, Silence
from binder_protocol.findings import Finding, Verdict

_GIB = 1 << 30
_OLDEST_ENGINE = (23,)
_OLDEST_PYTHON = (3, 11)
_LEAST_DISK = 5 * _GIB
_GOOD_DISK = 20 * _GIB
_LEAST_MEMORY = 2 * _GIB
_SETUP = "binder-control setup"


def diagnose(facts: Facts) -> list[Finding]:
    """Every check, in the order in which they are best mended."""
    return [
        _system(facts),
        _python(facts),
        _rights(facts),
        *_engine(facts),
        _disk(facts),
        _memory(facts),
        *_home(facts),
        *_ports(facts),
    ]


def _system(facts: Facts) -> Finding:
    if is_supported(facts.distribution):
        return _ok("system", str(facts.distribution))
    what = f"{facts.distribution}: setup installs engines on Debian 12 and 13 and Ubuntu 24.04 only"
    return Finding("system", Verdict.WARNING, what, "install Docker 23 or newer with buildx yourself")


def _python(facts: Facts) -> Finding:
    version = ".".join(map(str, facts.python))
    if facts.python >= _OLDEST_PYTHON:
        return _ok("Python", version)
    return Finding("Python", Verdict.FAILED, f"{version} is too old", "install Python 3.11 or newer")


def _rights(facts: Facts) -> Finding:
    """Services apply firewall rules (and without systemd run the engine) while nobody is there to type a password."""
    if facts.access in (Access.ROOT, Access.SUDO):
        return _ok("rights", "root" if facts.access is Access.ROOT else "sudo")
    mend = f"as root: echo '{facts.user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/binder"
    what = "sudo asks for a password" if facts.access is Access.PASSWORD else "neither root nor sudo"
    return Finding("rights", Verdict.FAILED, f"{what}: services can't keep applications apart", mend)


def _engine(facts: Facts) -> Iterator[Finding]:
    engine = facts.engine
    if engine is Silence.FORBIDDEN:
        mend = "log in again" if facts.in_docker_group else f"sudo usermod -aG docker {facts.user}, and log in again"
        yield Finding("engine", Verdict.FAILED, f"{facts.user} may not speak to it", mend)
        return
    if not isinstance(engine, Engine):
        installed = "dockerd" in facts.programs
        mend = "binder-control start-all" if installed and not facts.systemd else _SETUP
        if installed and facts.systemd:
            mend = "sudo systemctl start docker" if facts.access is not Access.ROOT else "systemctl start docker"
        yield Finding("engine", Verdict.FAILED, "no Docker engine answers", mend)
        return
    version = ".".join(map(str, engine.version))
    if engine.version < _OLDEST_ENGINE:
        yield Finding("engine", Verdict.WARNING, f"Docker {version} is old", "install Docker 23 or newer")
    else:
        yield _ok("engine", f"Docker {version}")
    yield from _inside_engine(facts, engine)


def _inside_engine(facts: Facts, engine: Engine) -> Iterator[Finding]:
    if engine.storage_driver == "vfs":
        what = "storage driver vfs copies whole images"
        yield Finding("storage", Verdict.WARNING, what, "put Docker's data directory on ext4 or xfs")
    else:
        yield _ok("storage", engine.storage_driver)
    if "docker-buildx" in facts.plugins:
        yield _ok("buildx", "there")
    else:
        yield Finding("buildx", Verdict.WARNING, "missing: builds use the slow classic builder", _SETUP)
    for name, there in (("memory limits", engine.memory_limits), ("process limits", engine.pids_limits)):
        if there:
            yield _ok(name, "kept by the kernel")
        else:
            what = "the kernel has no control group for it: applications can starve one another"
            yield Finding(name, Verdict.WARNING, what, "boot with cgroup_enable=memory")
    if facts.firewall:
        yield _ok("firewall", "iptables works")
    else:
        what = "iptables doesn't work: applications could reach this machine's own services"
        yield Finding("firewall", Verdict.FAILED, what, "apt-get install iptables")
    yield _base(facts)


def _base(facts: Facts) -> Finding:
    if facts.base is None:
        return Finding("base image", Verdict.FAILED, f"there is no {BASE_IMAGE}", _SETUP)
    if facts.base.version != facts.wanted_base:
        return Finding("base image", Verdict.WARNING, f"{BASE_IMAGE} is of an older recipe", _SETUP)
    return _ok("base image", facts.base.id.removeprefix("sha256:")[:12])


def _disk(facts: Facts) -> Finding:
    free = f"{facts.disk_free / _GIB:.1f} GiB free"
    if facts.disk_free < _LEAST_DISK:
        return Finding("disk", Verdict.FAILED, f"{free}: too little for images", "docker image prune --all")
    if facts.disk_free < _GOOD_DISK:
        return Finding("disk", Verdict.WARNING, f"{free}: a few images fill it", "docker image prune --all")
    return _ok("disk", free)


def _memory(facts: Facts) -> Finding:
    has = f"{facts.memory / _GIB:.1f} GiB"
    if facts.memory < _LEAST_MEMORY:
        return Finding("memory", Verdict.WARNING, f"{has}: little for applications", "use a machine with 2 GiB or more")
    return _ok("memory", has)


def _home(facts: Facts) -> Iterator[Finding]:
    if facts.config_exists:
        yield _ok("configuration", str(facts.home / "binder.toml"))
    else:
        yield Finding("configuration", Verdict.WARNING, "no file: defaults are in effect", _SETUP)
    if facts.key_mode is None:
        yield Finding("key", Verdict.FAILED, "there is no API key", _SETUP)
    elif facts.key_mode & 0o077:
        yield Finding("key", Verdict.FAILED, "other users can read it", f"chmod 600 {facts.home / 'key'}")
    else:
        yield _ok("key", "readable by its owner alone")


def _ports(facts: Facts) -> Iterator[Finding]:
    if facts.suite_runs:
        yield _ok("ports", "the suite listens there")
        return
    for name, port in sorted(facts.busy_ports.items()):
        mend = f"stop that program, or set another port for {name} in {facts.home / 'binder.toml'}"
        yield Finding(f"port {port}", Verdict.FAILED, f"taken by another program; {name} needs it", mend)
    if not facts.busy_ports:
        yield _ok("ports", "free")


def _ok(check: str, what: str) -> Finding:
    return Finding(check, Verdict.OK, what)
