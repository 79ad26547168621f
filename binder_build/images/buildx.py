"""The command line of `docker buildx build`, as a value. The other half of `images.py`, which runs it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

MIN_VERSION = (0, 13)  # the first with --progress=rawjson
_KEPT = re.compile(
    r"PATH|HOME|TMPDIR|DOCKER_(HOST|CONFIG|CONTEXT|CERT_PATH|TLS_VERIFY)|BUILDX_(CONFIG|BUILDER)|KUBECONFIG|KUBERNETES_SERVICE_(HOST|PORT)"
    r"|SSL_CERT_.*"
)

# Where docker looks for its plugins, in its order.
_PLUGINS = (
    Path("~/.docker/cli-plugins"),
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)


def buildx_command(folders: Sequence[Path] = _PLUGINS) -> tuple[str, ...]:
    """The plugin itself, which begins sooner than by way of `docker`; `docker buildx` where it isn't found."""
    for folder in folders:
        place = folder.expanduser() / "docker-buildx"
        if place.is_file() and os.access(place, os.X_OK):
            return (str(place),)
    return ("docker", "buildx")


class Output(Enum):
    """Where the image goes to; a plain registry speaks HTTP without TLS."""

    ENGINE = auto()
    REGISTRY = auto()
    PLAIN_REGISTRY = auto()


@dataclass(frozen=True)
class Buildx:
    """One build. Proxies reach buildx by its environment, secrets by files: no value of either is an argument."""

    context: Path
    dockerfile: Path
    metadata: Path
    tag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    builder: str | None = None
    cgroup_parent: str | None = None
    epoch: int | None = None
    no_cache: bool = False
    target: str | None = None
    cache: str | None = None
    output: Output = Output.ENGINE

    def arguments(self) -> list[str]:
        """What follows the words of the command, such as `docker buildx`."""
        words = [
            "build",
            "--progress=rawjson",
            "--file",
            str(self.dockerfile),
            "--metadata-file",
            str(self.metadata),
        ]
        words += _output(self.output, self.tag)
        given = {"--builder": self.builder, "--cgroup-parent": self.cgroup_parent, "--target": self.target}
        for option, value in given.items():
            words += [option, value] if value else []
        if self.no_cache:
            words.append("--no-cache")
        if self.cache:
            words += _cache(self.cache, self.builder)
        return [*words, *self._named(), "--", str(self.context)]

    def _named(self) -> list[str]:
        """Options that are given once for each name."""
        words: list[str] = []
        for name, value in sorted(self.labels.items()):
            words += ["--label", f"{name}={value}"]
        for name, value in sorted(self.build_args.items()):
            words += ["--build-arg", f"{name}={value}"]
        for name in sorted(self.proxies):
            words += ["--build-arg", name]
        for name, place in sorted(self.secrets.items()):
            words += ["--secret", f"id={name},src={place}"]
        for name, where in sorted(self.contexts.items()):
            words += ["--build-context", f"{name}={where}"]
        return words

    def environment(self, host: str | None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment buildx runs in: of this process's own only what leads it to the engine."""
        source = os.environ if environ is None else environ
        kept = {name: value for name, value in source.items() if _KEPT.fullmatch(name)}
        kept |= {"LC_ALL": "C", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_GIT_INFO": "false", **self.proxies}
        if host:
            kept["DOCKER_HOST"] = host
        if self.epoch is not None:
            kept["SOURCE_DATE_EPOCH"] = str(self.epoch)
        return kept


def _output(output: Output, tag: str) -> list[str]:
    if output is Output.ENGINE:
        return ["--load", "--tag", tag]
    plain = ",registry.insecure=true" if output is Output.PLAIN_REGISTRY else ""
    return ["--output", f"type=image,name={tag},push=true{plain}"]


def _cache(reference: str, builder: str | None) -> list[str]:
    """The registry's `reference` as a cache of steps.

    The engine's own builder can't write one: it puts into the image what its steps were, and who pushes that image
    as `reference` has shared them. Other builders write the steps of all stages; where they can't, the build goes on.
    """
    known = ["--cache-from", f"type=registry,ref={reference}"]
    if builder is None:
        return [*known, "--cache-to", "type=inline"]
    return [*known, "--cache-to", f"type=registry,ref={reference},mode=max,ignore-error=true"]


def version_of(text: str) -> tuple[int, ...]:
    """The version in what `docker buildx version` prints; empty where there is none."""
    match = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else ()


def is_recent(version: Sequence[int]) -> bool:
    """Whether buildx of this version can report its progress as records."""
    return tuple(version[:2]) >= MIN_VERSION
