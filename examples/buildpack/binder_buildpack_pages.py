"""A buildpack of its own distribution: a repository with an index.html is served as it is."""

from __future__ import annotations

from binder_plan.buildpacks import Detection, Folder, Parts
from binder_plan.recipe import Base, Kind, Launch, PlanSettings, Run


class Pages:
    """Both methods are pure: they read the repository by `folder`, and answer what is to be done."""

    name = "pages"
    before = "node"  # the buildpack that comes next, where this one doesn't fit

    def detect(self, folder: Folder) -> Detection | None:
        path = folder.find("index.html")
        return Detection(f"{path} is a page", (path,)) if path else None

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        return Parts(
            after=(Run(Kind.PROJECT, "list the pages", "ls > pages.txt"),),
            versions={"python": base.python},
            launch=Launch(
                command=("python", "-m", "http.server", "8000"),
                port=8000,
                strip_prefix=True,  # the server doesn't know where the front door carries it
            ),
        )
