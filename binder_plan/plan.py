"""From a tree to a recipe: which buildpack, which Dockerfile, what is left aside and why. Pure."""

from __future__ import annotations

import hashlib
import json

from binder_plan.apt import apt_step, parse_apt
from binder_plan.buildpacks import BUILDPACKS, Buildpack, Detection, Folder, Parts
from binder_plan.dockerfile import Stages, environment_text, render_dockerfile
from binder_plan.recipe import Base, Copy, Environment, Kind, PlanSettings, Recipe, Run, Step
from binder_plan.tree import Tree
from binder_protocol.models import IgnoredFile

# Files by which other tools, or other versions of Binder, know what to install.
_KNOWN = (
    "Dockerfile",
    "environment.yml",
    "environment.yaml",
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
    "Project.toml",
    "REQUIRE",
    "default.nix",
    "package.json",
)
_KEY_VERSION = 1  # to be raised whenever the same text and files would give another environment than before
_COMMON = ("apt.txt", "postBuild", "start")
_INSTALLING = ("environment.yml", "environment.yaml", "install.R", "DESCRIPTION")


def make_recipe(tree: Tree, base: Base, settings: PlanSettings) -> Recipe:
    """How `tree` becomes an image on `base`. Raises `InvalidRepository`, whose message names the file and line."""
    folder = Folder.of(tree)
    buildpack, detection = _detect(folder)
    parts = buildpack.render(folder, base, settings)
    common: tuple[str, ...] = ()
    stages = Stages()
    environment: Environment | None = None
    dockerfile = parts.dockerfile
    if dockerfile is None:
        common = tuple(path for name in _COMMON if (path := folder.find(name)))
        stages = _stages(folder, parts, settings)
        environment = _environment(tree, base, stages, settings)
        title = f"Binder, buildpack {buildpack.name}: {detection.reason}"
        dockerfile = render_dockerfile(title, base, stages, settings)
    files = (*detection.files, *common)
    ignored = (*parts.ignored, *_ignored(folder, buildpack, {*files, *(each.path for each in parts.ignored)}))
    labels = {} if environment is None else {"org.binder.environment": environment.key}
    return Recipe(
        buildpack=buildpack.name,
        reason=detection.reason,
        files=files,
        dockerfile=dockerfile,
        dockerignore=None if parts.dockerfile is not None else _dockerignore(tree, stages, common),
        base=base,
        steps=(*stages.ahead, *stages.environment, *stages.contents),
        environment=environment,
        wheels_only=parts.wheels_only,
        launch=parts.launch,
        versions=parts.versions,
        build_args=parts.build_args,
        ignored=ignored,
        warnings=(*parts.warnings, *_warnings(buildpack, ignored, settings)),
        labels={"org.binder.buildpack": buildpack.name, "org.binder.base": base.id, **labels},
    )


def _detect(folder: Folder) -> tuple[Buildpack, Detection]:
    for buildpack in BUILDPACKS:
        detection = buildpack.detect(folder)
        if detection is not None:
            return buildpack, detection
    raise AssertionError("the last buildpack fits every repository")


def _stages(folder: Folder, parts: Parts, settings: PlanSettings) -> Stages:
    apt = folder.find("apt.txt")
    named = parse_apt(folder.tree.text(apt), apt) if apt else ()
    packages = tuple(dict.fromkeys([*parts.packages, *named]))
    system = (apt_step(packages, settings),) if packages else ()
    contents: list[Step] = [Copy(Kind.CONTENTS, "copy the repository", (".",)), *parts.after]
    post_build = folder.find("postBuild")
    if post_build:
        folder.tree.text(post_build)  # a link out of the repository is refused here
        contents.append(Run(Kind.POST_BUILD, f"run {post_build}", f"chmod +x {post_build} && ./{post_build}"))
    start = folder.find("start")
    if start:
        folder.tree.text(start)
    return Stages(
        ahead=parts.ahead if system and settings.buildkit else (),
        environment=(*system, *parts.before),
        contents=tuple(contents),
        variables=parts.variables,
        launch=parts.launch,
    )


def _environment(tree: Tree, base: Base, stages: Stages, settings: PlanSettings) -> Environment | None:
    text = environment_text(base, stages, settings)
    if not text:
        return None
    copied = {path for step in stages.environment if isinstance(step, Copy) for path in step.paths}
    scope = settings.cache_scope if settings.secrets else ""
    facts = [_KEY_VERSION, base.id, text, scope, {path: tree.digest(path) for path in sorted(copied)}]
    return Environment(hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32])


def _dockerignore(tree: Tree, stages: Stages, common: tuple[str, ...]) -> str:
    """The repository's own .dockerignore, but never at the cost of a file that the build needs."""
    name = next((each for each in (".dockerignore", ".containerignore") if tree.is_file(each)), None)
    own = tree.text(name).rstrip("\n").split("\n") if name else []
    steps = (*stages.environment, *stages.contents)
    copied = [path for step in steps if isinstance(step, Copy) for path in step.paths if path != "."]
    needed = dict.fromkeys([*copied, *common])
    return "\n".join([".git", "**/.git", *own, *(f"!{path}" for path in needed if own)]) + "\n"


def _ignored(folder: Folder, buildpack: Buildpack, used: set[str]) -> tuple[IgnoredFile, ...]:
    found = []
    for name in _KNOWN:
        path = folder.find(name)
        if path and path not in used:
            reason = f"the {'Dockerfile' if buildpack.name == 'dockerfile' else buildpack.name + ' buildpack'} decides"
            if buildpack.name != "dockerfile" and name in _INSTALLING:
                reason = "this version of Binder doesn't read it"
            found.append(IgnoredFile(path=path, reason=reason))
        if not folder.is_root and name in folder.tree.names() and not folder.tree.is_directory(name):
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
