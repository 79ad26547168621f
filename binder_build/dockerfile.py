"""A Dockerfile from steps: pure text, the layers in the order in which they change."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from binder_build.recipe import NB_UID, NB_USER, REPO_DIR, Base, Cache, Copy, PlanSettings, Run, Step

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
NETWORK_CONTEXT = "binder-network"
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")


def render_dockerfile(title: str, base: Base, steps: Iterable[Step], settings: PlanSettings) -> str:
    """The text of a Dockerfile that runs `steps` on `base`, in whose working directory, REPO_DIR, they run."""
    lines = [f"# {title}", f"FROM {base.reference}"]
    user = ""
    for step in steps:
        lines += ["", f"# {step.title}"]
        wanted = "root" if isinstance(step, Run) and step.root else NB_USER
        if wanted != user:
            lines.append(f"USER {wanted}")
            user = wanted
        lines += copy_lines(step) if isinstance(step, Copy) else _run(step, settings)
    if user != NB_USER:
        lines.append(f"USER {NB_USER}")
    return "\n".join(lines) + "\n"


def network_mounts(settings: PlanSettings) -> list[str]:
    """The mounts by which a step gets this host's CA bundle and package indexes; none of them stays in the image.

    Files of a named context, not secrets: for a step with a secret BuildKit reads its whole root file system, to
    find a cached result by contents (5 s instead of 0.5 s on the base image). Only an index with a password is one.
    """
    if not settings.buildkit:
        return []
    files = [("ca.crt", CA_BUNDLE)] if settings.ca else []
    configured = [("pip.conf", "/etc/pip.conf"), ("uv.toml", "/etc/uv/uv.toml")]
    mounts = []
    if settings.index_secret:
        mounts = [f"--mount=type=secret,id=binder-{name},target={target},mode=0444" for name, target in configured]
    elif settings.ca or settings.index:
        files += configured
    bound = [f"--mount=type=bind,from={NETWORK_CONTEXT},source={name},target={target}" for name, target in files]
    return [*bound, *mounts]


def copy_lines(step: Copy) -> list[str]:
    """The instructions of a copy: one for each directory."""
    owner = f"--chown={NB_UID}:{NB_UID}"
    by_directory: dict[str, list[str]] = {}
    for path in step.paths:
        by_directory.setdefault(posixpath.dirname(path), []).append(path)
    return [
        f"COPY {owner} {' '.join(paths)} {posixpath.join(REPO_DIR, directory, '')}"
        for directory, paths in by_directory.items()
    ]


def _run(step: Run, settings: PlanSettings) -> list[str]:
    mounts = [*(_cache(cache) for cache in step.caches if settings.buildkit), *network_mounts(settings)]
    command = step.command
    if settings.ca and settings.buildkit:
        command = f"export {' '.join(f'{name}={CA_BUNDLE}' for name in _CA_VARIABLES)}; {command}"
    return ["RUN " + " \\\n    ".join([*mounts, command])]


def _cache(cache: Cache) -> str:
    owner = "" if cache.root else f",uid={NB_UID},gid={NB_UID}"
    sharing = "locked" if cache.root else "shared"
    return f"--mount=type=cache,id={cache.id},target={cache.target},sharing={sharing}{owner}"
