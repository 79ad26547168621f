"""From a tree to a recipe: which buildpack, which Dockerfile, what is left aside and why. Pure."""

from __future__ import annotations

import hashlib
import json

from binder_plan.apt import apt_step, parse_apt
from binder_plan.buildpacks import BUILDPACKS, Buildpack, Detection, Folder, Parts
from binder_plan.dockerfile import Stages, environment_text, render_dockerfile
from binder_plan.ignore import dockerignore, own_patterns
from binder_plan.lfs import lfs_warnings
from binder_plan.recipe import ENVIRONMENT_LABEL, Base, Copy, Environment, Kind, PlanSettings, Recipe
from binder_plan.scripts import COMMON, Scripts, find_common, read_scripts
from binder_plan.tree import Tree
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
)
_KEY_VERSION = 1  # to be raised whenever the same text and files would give another environment than before


def make_recipe(tree: Tree, base: Base, settings: PlanSettings) -> Recipe:
    """How `tree` becomes an image on `base`. Raises `InvalidRepository`, whose message names the file and line."""
    folder = Folder.of(tree)
    buildpack, detection = _detect(folder)
    parts = buildpack.render(folder, base, settings)
    common: tuple[str, ...] = ()
    scripts = Scripts()
    stages = Stages()
    environment: Environment | None = None
    dockerfile = parts.dockerfile
    if dockerfile is None:
        common = tuple(path for name in COMMON if (path := find_common(folder, name)))
        scripts = read_scripts(folder)
        stages = _stages(folder, parts, scripts, settings)
        environment = _environment(tree, base, stages, settings)
        title = f"Binder, buildpack {buildpack.name}: {detection.reason}"
        dockerfile = render_dockerfile(title, base, stages, settings)
    files = (*detection.files, *common)
    patterns, doubts = own_patterns(tree)
    ignored = (*parts.ignored, *_ignored(folder, buildpack, {*files, *(each.path for each in parts.ignored)}))
    labels = {} if environment is None else {ENVIRONMENT_LABEL: environment.key}
    return Recipe(
        buildpack=buildpack.name,
        reason=detection.reason,
        files=files,
        dockerfile=dockerfile,
        dockerignore=_dockerignore(tree, patterns, None if parts.dockerfile is not None else stages, files),
        base=base,
        steps=(*stages.ahead, *stages.environment, *stages.contents),
        environment=environment,
        wheels_only=parts.wheels_only,
        launch=parts.launch,
        versions=parts.versions,
        build_args=parts.build_args,
        ignored=ignored,
        warnings=(
            *parts.warnings,
            *scripts.warnings,
            *doubts,
            *_warnings(buildpack, ignored, settings),
            *lfs_warnings(tree),
        ),
        labels={"org.binder.buildpack": buildpack.name, "org.binder.base": base.id, **labels},
    )


def _detect(folder: Folder) -> tuple[Buildpack, Detection]:
    for buildpack in BUILDPACKS:
        detection = buildpack.detect(folder)
        if detection is not None:
            return buildpack, detection
    raise AssertionError("the last buildpack fits every repository")


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


def _ignored(folder: Folder, buildpack: Buildpack, used: set[str]) -> tuple[IgnoredFile, ...]:
    found = []
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
