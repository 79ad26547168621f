"""A repository's own Dockerfile: checked line by line, then built as it is, with NB_USER and NB_UID as arguments."""

from __future__ import annotations

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.dockerfile_rules import check, effects, prepared
from binder_plan.recipe import NB_UID, NB_USER, Base, Launch, PlanSettings


class OwnDockerfile:
    """Wins over everything else; other build files have no effect beside it."""

    name = "dockerfile"

    def detect(self, folder: Folder) -> Detection | None:
        path = folder.find("Dockerfile")
        return Detection(f"{path} says how to build", (path,)) if path else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        path = folder.find("Dockerfile")
        assert path is not None
        text = folder.tree.text(path)
        arguments = {"NB_USER": NB_USER, "NB_UID": NB_UID}
        check(text, path, arguments, settings)
        dockerfile, warnings = prepared(text, settings)
        port, command = effects(text)
        launch = Launch(command=command, port=port)
        return Parts(dockerfile=dockerfile, warnings=warnings, launch=launch, build_args=arguments)
