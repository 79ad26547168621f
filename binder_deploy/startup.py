"""How an application starts, on whatever it runs: its labels, its variables, its arguments. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from binder_deploy.launches import RESERVED, Launch
from binder_protocol.labels import APP, JUPYTER

USER = 1000
_JUPYTER_COMMAND = ("jupyter-lab",)


@dataclass(frozen=True)
class Image:
    """What an image says of itself. `id` never changes its meaning, as a tag does."""

    id: str
    labels: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def app(self) -> str:
        """The kind of application that its label claims; empty without one."""
        return dict(self.labels).get(APP, "")

    @property
    def has_init(self) -> bool:
        """Whether its entry point reaps processes already."""
        return self.entrypoint[:1] in (("tini",), ("/usr/bin/tini",), ("/sbin/tini",), ("dumb-init",))


def runs_jupyter(launch: Launch, image: Image) -> bool:
    """Whether what runs is the base image's JupyterLab, which checks the token itself."""
    return launch.command is None and image.app == JUPYTER and image.command == _JUPYTER_COMMAND


def environment(launch: Launch, image: Image) -> dict[str, str]:
    """The variables an application starts with; ours can't be overridden by template or request."""
    ours = {
        "BINDER_BASE_PATH": launch.base_path,
        "BINDER_PORT": str(launch.port),
        "BINDER_TOKEN": launch.secret,
        "PORT": str(launch.port),
    }
    if image.app == JUPYTER:
        ours["JUPYTER_TOKEN"] = launch.secret
    return {key: value for key, value in launch.environment.items() if key not in RESERVED} | ours


def filled(argument: str, launch: Launch) -> str:
    """`argument` with its placeholders filled in."""
    for placeholder, value in (("base-path", launch.base_path), ("port", str(launch.port)), ("token", launch.secret)):
        argument = argument.replace(f"{{{placeholder}}}", value)
    return argument
