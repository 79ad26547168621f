"""Jupyter's settings in binder-base: where it listens comes from the environment, what nobody needs is off.

The token is taken from JUPYTER_TOKEN by Jupyter itself.
"""

import os

c = get_config()  # type: ignore[name-defined] # noqa: F821 - put here by traitlets

c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - in a container, behind the front door
c.ServerApp.port = int(os.environ.get("BINDER_PORT", "8888"))
c.ServerApp.port_retries = 0
c.ServerApp.base_url = os.environ.get("BINDER_BASE_PATH", "/")
c.ServerApp.allow_remote_access = True
c.ServerApp.trust_xheaders = True
c.ServerApp.open_browser = False

c.ServerApp.jpserver_extensions = {
    "jupyterlab": True,
    "notebook_shim": False,
    "jupyter_lsp": False,
}
# Environments are made by repositories: nothing is installed by clicking, and PyPI is not asked at start.
c.LabApp.extension_manager = "readonly"
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
