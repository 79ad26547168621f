"""A repository's own Dockerfile: checked line by line, then built as it is, with NB_USER and NB_UID as arguments."""

from __future__ import annotations

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.dockerfiles.bases_of_2016 import mapped
from binder_plan.dockerfiles.effects import effects
from binder_plan.dockerfiles.rules import check, prepared
from binder_plan.recipe import NB_UID, NB_USER, Base, Launch, PlanSettings


class OwnDockerfile:
    """Wins over everything else; other build files have no effect beside it."""

    name = "dockerfile"

    def detect(self, folder: Folder) -> Detection | None:
        path = folder.find("Dockerfile")
        return Detection(f"{path} says how to build", (path,)) if path else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        path = folder.find("Dockerfile")
        assert path is not None
        text = folder.tree.text(path)
        arguments = {"NB_USER": NB_USER, "NB_UID": NB_UID}
        check(text, path, arguments, settings)
        modern, notes = mapped(text, path, base)
        dockerfile, warnings = prepared(modern, settings)
        found = effects(text, arguments)
        return Parts(
            dockerfile=dockerfile,
            warnings=(*notes, *warnings),
            launch=Launch(command=found.command, port=found.port),
            starts=found.starts,
            build_args=arguments,
        )
