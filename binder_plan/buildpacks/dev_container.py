"""devcontainer.json: its image or Dockerfile, with the repository and what its commands leave there."""

from __future__ import annotations

import json
import re

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.devcontainer import DevContainer, describes, read_devcontainer, read_facts
from binder_plan.dockerfile import CA_BUNDLE, CA_VARIABLES, REPOSITORY_CONTEXT, launch_lines
from binder_plan.dockerfiles.effects import effects
from binder_plan.dockerfiles.rules import check, prepared
from binder_plan.recipe import NB_UID, REPO_DIR, Base, Launch, PlanSettings
from binder_protocol.errors import InvalidRepository

_WORKSPACE = "/workspaces/repository"
_OURS = re.compile(r"binder-base(?::[\w.-]+)?")


class DevelopmentContainer:
    """Fits where no file of Binder's conventions does, and no Node project that can be started."""

    name = "devcontainer"

    def detect(self, folder: Folder) -> Detection | None:
        path = _path(folder)
        if path is None or not describes(read_facts(folder.tree.text(path), path)):
            return None
        return Detection(f"{path} describes a container", (path,))

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        path = _path(folder)
        assert path is not None
        found = read_devcontainer(read_facts(folder.tree.text(path), path), path)
        if found.context and not settings.buildkit:
            raise InvalidRepository(
                f"{path}: a context other than the root needs docker buildx, which this host lacks",
                suggestions=('write "context": ".." and paths from the root',),
            )
        text = folder.tree.text(found.dockerfile) if found.dockerfile else f"FROM {found.image}"
        of = effects(text, found.arguments)
        ours = _OURS.fullmatch(of.image or "") is not None
        text = "\n".join([text, *_lines(found, settings, REPO_DIR if ours else _WORKSPACE)])
        check(text, found.dockerfile or path, dict(found.arguments), settings)
        dockerfile, warnings = prepared(text, settings)
        starts = ours or found.own_command or of.starts
        return Parts(
            dockerfile=dockerfile,
            context=found.context,
            build_args=dict(found.arguments),
            launch=Launch(command=of.command, port=found.port or of.port),
            nothing_starts="" if starts else f"{path} says nothing of what is to be started",
            ignored=found.ignored,
            warnings=warnings,
        )


def _path(folder: Folder) -> str | None:
    if not folder.is_root:
        return None
    return folder.find(".devcontainer/devcontainer.json") or folder.find(".devcontainer.json")


def _lines(found: DevContainer, settings: PlanSettings, place: str) -> list[str]:
    """What comes on top of the image: all that the JSON holds is quoted, and ends with its line."""
    origin = f"--from={REPOSITORY_CONTEXT} " if found.context else ""
    ca = [f"{name}={CA_BUNDLE}" for name in CA_VARIABLES] if settings.ca and settings.buildkit else []
    lines = ["", *launch_lines(Launch(environment=found.environment, port=found.port))]
    # In this order: a directory that WORKDIR makes is root's.
    lines += [f"COPY {origin}--chown={NB_UID}:{NB_UID} . {place}/", f"WORKDIR {place}"]
    for command in found.commands:
        lines.append(f"RUN {json.dumps([*(['/usr/bin/env', *ca] if ca else []), *command])}")
    return lines
