"""How the application is launched: binder.toml before the Procfile before what the buildpack knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from binder_plan.binder_toml import BinderToml, parse_binder_toml
from binder_plan.buildpacks.folder import Folder
from binder_plan.procfile import WEB, parse_procfile, shell_command
from binder_plan.recipe import DEFAULT_PORT, Launch, PlanSettings
from binder_protocol.models import IgnoredFile
from binder_protocol.models.quantities import memory_bytes, millicpus

# Whoever names its base path, or is Jupyter, wants to see it in requests; everybody else believes to be at `/`.
_KNOWS_ITS_PATH = re.compile(r"\{base-path\}|BINDER_BASE_PATH|\bjupyter\b")


@dataclass(frozen=True, slots=True)
class Launching:
    """The launch in the end, and `wishes`: the part of it that the files state. `files` had a say."""

    launch: Launch
    wishes: Launch = field(default_factory=Launch)
    files: tuple[str, ...] = ()
    ignored: tuple[IgnoredFile, ...] = ()
    warnings: tuple[str, ...] = ()


def launching(folder: Folder, own: Launch, settings: PlanSettings, *, starts: bool = False) -> Launching:
    """How to launch what a buildpack would launch as `own`. Raises `InvalidRepository` for files that can't be used.

    `starts`: the repository's own Dockerfile says what is started, and no Procfile changes that.
    """
    toml_path = folder.find("binder.toml")
    toml = parse_binder_toml(folder.tree.text(toml_path), toml_path) if toml_path else BinderToml()
    words, files, ignored, warnings = _procfile(folder, toml, starts=starts)
    if toml.command is not None:
        words = shell_command(toml.command) if isinstance(toml.command, str) else tuple(toml.command)
    port = toml.port or own.port
    environment = {**own.environment, **toml.environment}
    if words or "PORT" in environment:
        environment["PORT"] = str(port or DEFAULT_PORT)
    strip = own.strip_prefix if words is None else not _KNOWS_ITS_PATH.search(" ".join(words))
    memory, said_of_memory = _within("memory", toml.memory, settings.max_memory, memory_bytes)
    cpu, said_of_cpu = _within("cpu", toml.cpu, settings.max_cpu, millicpus)
    wishes = Launch(
        command=words,
        port=toml.port,
        health_path=toml.health_path,
        environment={name: value for name, value in environment.items() if own.environment.get(name) != value},
        memory=memory,
        cpu=cpu,
        strip_prefix=strip if toml.strip_prefix is None else toml.strip_prefix,
    )
    return Launching(
        launch=replace(
            wishes,
            command=words or own.command,
            port=port,
            health_path=toml.health_path or own.health_path,
            environment=environment,
        ),
        wishes=wishes,
        files=(*((toml_path,) if toml_path else ()), *files),
        ignored=ignored,
        warnings=(*warnings, *said_of_memory, *said_of_cpu),
    )


def _procfile(
    folder: Folder, toml: BinderToml, *, starts: bool
) -> tuple[tuple[str, ...] | None, tuple[str, ...], tuple[IgnoredFile, ...], tuple[str, ...]]:
    """The Procfile's command, the file if it decided, what of it is ignored, and what is to be said."""
    path = folder.find("Procfile")
    if path is None:
        return None, (), (), ()
    processes = parse_procfile(folder.tree.text(path), path)
    if toml.command is not None:
        return None, (), (IgnoredFile(path=path, reason="binder.toml states the command"),), ()
    if starts:
        return None, (), (IgnoredFile(path=path, reason="the Dockerfile says what is started"),), ()
    if WEB not in processes:
        return None, (), (IgnoredFile(path=path, reason="it has no web process"),), (f"{path} has no web process",)
    others = sorted(processes.keys() - {WEB})
    ignored = tuple(IgnoredFile(path=f"{path}: {each}", reason="only the web process is launched") for each in others)
    return shell_command(processes[WEB]), (path,), ignored, ()


def _within(
    name: str, wish: str | None, ceiling: str | None, amount: Callable[[str], int]
) -> tuple[str | None, tuple[str, ...]]:
    """The wish, or the operator's ceiling where it is above that, and what is to be said."""
    if wish is None or ceiling is None or amount(wish) <= amount(ceiling):
        return wish, ()
    return ceiling, (f"binder.toml asks for {name} {wish}; this service grants {ceiling} at most",)
