"""A Dockerfile from steps: pure text, the layers in the order in which they change."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from binder_plan.recipe import (
    NB_UID,
    NB_USER,
    REPO_DIR,
    Base,
    Cache,
    Copy,
    Kind,
    Launch,
    PlanSettings,
    Run,
    Step,
    Tool,
    Write,
)

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
NETWORK_CONTEXT = "binder-network"
REPOSITORY_CONTEXT = "binder-repository"
LARGE_FOLDERS_CONTEXT = "binder-large-folders"
NPM_REGISTRY = "/run/binder-npm-registry"
BASE_NAME = "binder-base"
ENVIRONMENT_STAGE, AHEAD_STAGE = "environment", "ahead"
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_AHEAD = "/tmp/binder-ahead"  # noqa: S108 - a path in the image
SECRETS = "/run/secrets"
_WITH_SECRETS = (Kind.DEPENDENCIES, Kind.PROJECT, Kind.POST_BUILD)


@dataclass(frozen=True, slots=True)
class Stages:
    """The steps of a Dockerfile by the stage they are in, and what is set in it.

    `ahead` runs beside the installation of Debian packages in `environment`; `contents` stands on `environment`, and
    `launch` is what its image does when it is started. `variables` hold from `environment` on.
    """

    ahead: tuple[Step, ...] = ()
    environment: tuple[Step, ...] = ()
    contents: tuple[Step, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    launch: Launch = field(default_factory=Launch)


def environment_text(base: Base, stages: Stages, settings: PlanSettings) -> str:
    """The stages before the repository's contents; empty where nothing comes before them."""
    if not stages.environment and not stages.variables:
        return ""
    lines = [line for tool in _tools(stages.environment) for line in _tool(tool, base, settings)]
    if stages.ahead:
        lines += [f"FROM {base.reference} AS {AHEAD_STAGE}", *_steps(stages.ahead, settings), ""]
    lines += [f"FROM {base.reference} AS {ENVIRONMENT_STAGE}", *_variables(stages.variables)]
    lines += _steps(stages.environment, settings, ahead=bool(stages.ahead))
    return "\n".join(lines)


def render_dockerfile(title: str, base: Base, stages: Stages, settings: PlanSettings) -> str:
    """The whole text; its steps run in the base's working directory, REPO_DIR."""
    environment = environment_text(base, stages, settings)
    lines = [f"# {title}", *([environment, "", f"FROM {ENVIRONMENT_STAGE}"] if environment else [])]
    if not environment:
        lines.append(f"FROM {base.reference}")
    return "\n".join([*lines, *_steps(stages.contents, settings), *launch_lines(stages.launch)]) + "\n"


def network_mounts(settings: PlanSettings) -> list[str]:
    """The mounts by which a step gets this host's CA bundle and package indexes; none of them stays in the image.

    Files of a named context, not secrets: for a step with a secret BuildKit reads its whole root file system, to
    find a cached result by contents (5 s instead of 0.5 s on the base image). Only an index with a password is one.
    """
    if not settings.buildkit:
        return []
    files = [("ca.crt", CA_BUNDLE)] if settings.ca else []
    configured = [("pip.conf", "/etc/pip.conf"), ("uv.toml", "/etc/uv/uv.toml")]
    mounts = []
    if settings.index_secret or settings.indexes:
        ids = [index_secret_id(name, settings.indexes) for name, _ in configured]
        mounts = [
            f"--mount=type=secret,id={each},target={target},mode=0444"
            for each, (_, target) in zip(ids, configured, strict=True)
        ]
    elif settings.configured:
        files += configured
    if "npm" in settings.mirrors:
        files.append(("npm-registry", NPM_REGISTRY))
    bound = [f"--mount=type=bind,from={NETWORK_CONTEXT},source={name},target={target}" for name, target in files]
    return [*bound, *mounts]


def index_secret_id(name: str, indexes: Iterable[str]) -> str:
    """The id of the secret that is the configuration file `name`: another one for other `indexes`.

    BuildKit takes a step with the same text and ids for the same step, whatever the secrets hold.
    """
    return "+".join([f"binder-{name}", *sorted(indexes)])


def secret_id(name: str, scope: str) -> str:
    """BuildKit's id of a secret: another one in another `scope`, for it would answer a step of the same text from its
    cache to somebody who doesn't have the secret."""
    return f"own-{scope}-{name}"


def _secret_mounts(step: Run, settings: PlanSettings) -> list[str]:
    if step.kind not in _WITH_SECRETS or not settings.buildkit:
        return []
    owner = f"mode=0400,uid={NB_UID},gid={NB_UID}"
    return [
        f"--mount=type=secret,id={secret_id(name, settings.cache_scope)},target={SECRETS}/{name},{owner}"
        for name in settings.secrets
    ]


def copy_lines(step: Copy) -> list[str]:
    """The instructions of a copy: one for each directory."""
    origin = f"--from={step.context} " if step.context else ""
    owner = f"{origin}--chown={NB_UID}:{NB_UID}"
    by_directory: dict[str, list[str]] = {}
    for path in step.paths:
        by_directory.setdefault(posixpath.dirname(path), []).append(path)
    return [_copy(owner, paths, posixpath.join(REPO_DIR, directory, "")) for directory, paths in by_directory.items()]


def write_lines(step: Write, settings: PlanSettings) -> list[str]:
    """The instruction that writes a file: not one of its lines can end it, nothing in it is put in for a variable."""
    if not settings.buildkit:
        encoded = base64.b64encode(step.text.encode()).decode()
        return [f"RUN echo {encoded} | base64 --decode >{step.path}"]
    end = f"BINDER_{hashlib.sha256(step.text.encode()).hexdigest()[:16]}"
    return [f'COPY --chown={NB_UID}:{NB_UID} <<"{end}" {step.path}', *step.text.rstrip("\n").split("\n"), end]


def _copy(owner: str, paths: list[str], target: str) -> str:
    """In the JSON form where a name holds a space."""
    words = [*paths, target]
    plain = not any(set(word) & set(" \t\"'\\$[") for word in words)
    return f"COPY {owner} {' '.join(words) if plain else json.dumps(words, ensure_ascii=False)}"


def _steps(steps: Iterable[Step], settings: PlanSettings, *, ahead: bool = False) -> list[str]:
    """`ahead`: the first step that installs dependencies waits for the stage that runs ahead of it."""
    lines: list[str] = []
    user = ""
    for step in steps:
        lines += ["", f"# {step.title}"]
        wanted = "root" if isinstance(step, Run) and step.root else NB_USER
        if wanted != user:
            lines.append(f"USER {wanted}")
            user = wanted
        waits = ahead and isinstance(step, Run) and step.kind is Kind.DEPENDENCIES
        ahead = ahead and not waits
        if isinstance(step, Run):
            lines += _run(step, settings, waits=waits)
        else:
            lines += copy_lines(step) if isinstance(step, Copy) else write_lines(step, settings)
    if user != NB_USER:
        lines.append(f"USER {NB_USER}")
    return lines


def _run(step: Run, settings: PlanSettings, *, waits: bool) -> list[str]:
    mounts = [f"--mount=type=bind,from={AHEAD_STAGE},source={REPO_DIR},target={_AHEAD}"] if waits else []
    mounts += [f"--mount=type=bind,from={_stage(each)},source={each.path},target={each.path}" for each in step.tools]
    mounts += [_cache(cache) for cache in step.caches if settings.buildkit]
    mounts += [] if step.alone else [*network_mounts(settings), *_secret_mounts(step, settings)]
    command = step.command
    if settings.ca and settings.buildkit and not step.alone:
        command = f"export {' '.join(f'{name}={CA_BUNDLE}' for name in CA_VARIABLES)}; {command}"
    return ["RUN " + " \\\n    ".join([*mounts, command])]


def _tools(steps: Iterable[Step]) -> list[Tool]:
    """Each once."""
    return list({tool.name: tool for step in steps if isinstance(step, Run) for tool in step.tools}.values())


def _tool(tool: Tool, base: Base, settings: PlanSettings) -> list[str]:
    """Its stage. No file ends before its end: the word that ends it stands on none of its lines."""
    if tool.run is not None:
        return [f"FROM {base.reference} AS {_stage(tool)}", *_steps([tool.run], settings), ""]
    lines = [f"FROM scratch AS {_stage(tool)}"]
    for name, text in tool.files.items():
        end = "END"
        while end in text:
            end += "_"
        lines += [f'COPY <<"{end}" {tool.path}/{name}', text.rstrip("\n"), end]
    return [*lines, ""]


def _stage(tool: Tool) -> str:
    return f"tool-{tool.name}"


def _cache(cache: Cache) -> str:
    owner = "" if cache.root else f",uid={NB_UID},gid={NB_UID}"
    sharing = "locked" if cache.root else "shared"
    return f"--mount=type=cache,id={cache.id},target={cache.target},sharing={sharing}{owner}"


def _variables(variables: Mapping[str, str]) -> list[str]:
    return [f"ENV {name}={_quoted(value)}" for name, value in variables.items()]


def _quoted(value: str) -> str:
    """A value as ENV takes it: nothing in it is put in for a variable, and no line ends in it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", " ")
    return f'"{escaped}"'


def launch_lines(launch: Launch) -> list[str]:
    """The instructions that say how the image is started; none where nothing is said."""
    lines = _variables(launch.environment)
    if launch.port is not None:
        lines.append(f"EXPOSE {launch.port}")
    if launch.command is not None:
        lines.append(f"CMD {json.dumps(list(launch.command), ensure_ascii=False)}")
    return ["", "# start the application", *lines] if lines else []
