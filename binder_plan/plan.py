"""From a tree to a recipe: which buildpack, which Dockerfile, what is left aside and why. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from binder_plan.apt import apt_step, parse_apt
from binder_plan.buildpacks import BUILDPACKS, Buildpack, Detection, Folder, Parts
from binder_plan.dockerfile import Stages, environment_text, launch_lines, render_dockerfile
from binder_plan.ignore import dockerignore, own_patterns
from binder_plan.launch_files import Launching, launching
from binder_plan.lfs import lfs_warnings
from binder_plan.recipe import (
    ENVIRONMENT_LABEL,
    Base,
    Copy,
    Environment,
    Kind,
    PlanSettings,
    Recipe,
)
from binder_plan.scripts import COMMON, Scripts, find_common, read_scripts
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository
from binder_protocol.labels import APP, OTHER
from binder_protocol.models import IgnoredFile

# Files by which other tools, or other versions of Binder, know what to install.
_KNOWN = (
    "Dockerfile",
    "environment.yml",
    "environment.yaml",
    "conda-lock.yml",
    "pixi.toml",
    "pixi.lock",
    "requirements.txt",
    "pyproject.toml",
    "pylock.toml",
    "uv.lock",
    "poetry.lock",
    "Pipfile",
    "Pipfile.lock",
    "setup.py",
    "runtime.txt",
    "apt.txt",
    "postBuild",
    "start",
    "install.R",
    "DESCRIPTION",
    "JuliaProject.toml",
    "Project.toml",
    "REQUIRE",
    "default.nix",
    "package.json",
    ".devcontainer/devcontainer.json",
    ".devcontainer.json",
    "Procfile",
    "binder.toml",
)
_KEY_VERSION = 1  # to be raised whenever the same text and files would give another environment than before


def make_recipe(tree: Tree, base: Base, settings: PlanSettings, buildpacks: Sequence[Buildpack] = BUILDPACKS) -> Recipe:
    """How `tree` becomes an image on `base`. Raises `InvalidRepository`, whose message names the file and line.

    The first of `buildpacks` that detects its files wins; `third_party.installed` has those of others, too.
    """
    folder = Folder.of(tree)
    buildpack, detection = _detect(folder, buildpacks)
    parts = buildpack.render(folder, base, settings)
    started = launching(folder, parts.launch, settings, starts=parts.starts)
    parts = replace(parts, launch=started.launch)
    _check(tree, parts)
    stages = Stages()
    common: tuple[str, ...] = ()
    scripts = Scripts()
    if parts.dockerfile is None:
        common = tuple(path for name in COMMON if (path := find_common(folder, name)))
        scripts = read_scripts(folder)
        stages = _stages(folder, parts, scripts, settings)
    environment = _environment(tree, base, stages, settings)
    files = (*detection.files, *common, *started.files)
    patterns, unread = own_patterns(tree)
    ignored = _ignored(folder, buildpack, files, (*parts.ignored, *started.ignored))
    warnings = (*parts.warnings, *started.warnings, *scripts.warnings, *unread)
    title = f"Binder, buildpack {buildpack.name}: {detection.reason}"
    return Recipe(
        buildpack=buildpack.name,
        reason=detection.reason,
        files=files,
        dockerfile=_own(parts.dockerfile, started)
        if parts.dockerfile is not None
        else render_dockerfile(title, base, stages, settings),
        dockerignore=_dockerignore(tree, patterns, None if parts.dockerfile is not None else stages, files),
        base=base,
        steps=(*stages.ahead, *stages.environment, *stages.contents),
        environment=environment,
        wheels_only=parts.wheels_only,
        launch=parts.launch,
        versions=parts.versions,
        build_args=parts.build_args,
        context=parts.context,
        ignored=ignored,
        warnings=(*warnings, *_warnings(buildpack, ignored, settings), *lfs_warnings(tree)),
        labels=_labels(buildpack, base, environment, scripts),
    )


def _own(dockerfile: str, started: Launching) -> str:
    """A Dockerfile of the repository's own, with what its launch files wish."""
    return "\n".join([dockerfile, *launch_lines(started.wishes)])


def _labels(buildpack: Buildpack, base: Base, environment: Environment | None, scripts: Scripts) -> dict[str, str]:
    key = {} if environment is None else {ENVIRONMENT_LABEL: environment.key}
    # The base image's label says that a Jupyter server checks the token itself; where none runs the front door has to.
    app = {APP: OTHER} if scripts.replaces_jupyter else {}
    return {"org.binder.buildpack": buildpack.name, "org.binder.base": base.id, **key, **app}


def _detect(folder: Folder, buildpacks: Sequence[Buildpack]) -> tuple[Buildpack, Detection]:
    for buildpack in buildpacks:
        detection = buildpack.detect(folder)
        if detection is not None:
            return buildpack, detection
    raise AssertionError("the last buildpack fits every repository")


def _check(tree: Tree, parts: Parts) -> None:
    if parts.nothing_starts and parts.launch.command is None:
        raise InvalidRepository(
            parts.nothing_starts, suggestions=("say it in a Procfile (web: …), or by `command` in binder.toml",)
        )
    if parts.context and not tree.is_directory(parts.context):
        raise InvalidRepository(
            f"there is no directory {parts.context}, from which to build", suggestions=("correct the context",)
        )


def _stages(folder: Folder, parts: Parts, scripts: Scripts, settings: PlanSettings) -> Stages:
    apt = find_common(folder, "apt.txt")
    named = parse_apt(folder.tree.text(apt), apt) if apt else ()
    packages = tuple(dict.fromkeys([*parts.packages, *named]))
    system = (apt_step(packages, settings),) if packages else ()
    return Stages(
        ahead=parts.ahead if system and settings.buildkit else (),
        environment=(*system, *parts.before),
        contents=(Copy(Kind.CONTENTS, "copy the repository", (".",)), *parts.after, *scripts.steps),
        variables=parts.variables,
        launch=parts.launch,
    )


def _environment(tree: Tree, base: Base, stages: Stages, settings: PlanSettings) -> Environment | None:
    text = environment_text(base, stages, settings)
    if not text:
        return None
    copied = {path for step in stages.environment if isinstance(step, Copy) for path in step.paths}
    scope = [settings.cache_scope, *settings.indexes] if settings.private else ""
    facts = [_KEY_VERSION, base.id, text, scope, {path: tree.digest(path) for path in sorted(copied)}]
    return Environment(hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32])


def _dockerignore(tree: Tree, own: list[str], stages: Stages | None, files: tuple[str, ...]) -> str | None:
    """None leaves it to the builder, which knows .dockerignore alone. Without `stages`, a Dockerfile of its own."""
    if stages is None:
        return "\n".join([*own, ""]) if tree.is_file(".containerignore") or tree.is_file(".dockerignore") else None
    steps = (*stages.environment, *stages.contents)
    copied = [path for step in steps if isinstance(step, Copy) for path in step.paths if path != "."]
    return dockerignore(own, [*copied, *files])


def _ignored(
    folder: Folder, buildpack: Buildpack, files: tuple[str, ...], said: tuple[IgnoredFile, ...]
) -> tuple[IgnoredFile, ...]:
    """What is `said` to be ignored already, and all else that looks as if it decided something."""
    used = {*files, *(each.path for each in said)}
    found = list(said)
    for name in _KNOWN:
        path = folder.find(name)
        if path and path not in used:
            reason = f"the {'Dockerfile' if buildpack.name == 'dockerfile' else buildpack.name + ' buildpack'} decides"
            found.append(IgnoredFile(path=path, reason=reason))
        if not folder.is_root and folder.tree.has(name) and not folder.tree.is_directory(name):
            found.append(IgnoredFile(path=name, reason=f"{folder.path}/ takes the place of the root"))
    return tuple(found)


def _warnings(buildpack: Buildpack, ignored: tuple[IgnoredFile, ...], settings: PlanSettings) -> tuple[str, ...]:
    warnings = []
    if buildpack.name == "bare" and ignored:
        names = ", ".join(each.path for each in ignored)
        warnings.append(f"nothing is installed: this version of Binder doesn't read {names}")
    if not settings.buildkit:
        warnings.append(
            "docker buildx is missing: the classic builder is slower and keeps no caches; install docker-buildx"
        )
        if settings.ca or settings.index:
            warnings.append(
                "the classic builder can't be given this host's CA bundle or package indexes without a trace"
            )
    return tuple(warnings)
