"""binder-base: made once per machine, from a pulled Debian where a registry answers, else from Debian's packages."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from binder_control.host import apt
from binder_control.host.engine import DIRECTORY, InstallPackages
from binder_control.host.facts import BASE_IMAGE, Distribution
from binder_control.host.machine import HostError, Machine
from binder_control.host.network import BuildNetwork, build_network

RECIPE = Path(__file__).parent / "base"
VERSION_LABEL = "org.binder.base-version"

_RELEASE = "trixie"
_PULLED = f"debian:{_RELEASE}-slim"
_IMPORTED = f"binder-debian:{_RELEASE}"
_ROOT = DIRECTORY.parent / "debian"
_PROBE_SECONDS = 20
_BOOTSTRAP_TRIES = 3
_PULL_SECONDS = 600
_BUILD_SECONDS = 1_800


def recipe_version(recipe: Path = RECIPE) -> str:
    """Changes whenever a file that the base image is made from does."""
    digest = hashlib.sha256()
    for file in sorted(path for path in recipe.iterdir() if path.is_file()):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class BuildBase:
    """Make the base image, unless the engine has it in this version.

    `as_root`: this login may not speak to the engine yet, so root does.
    """

    distribution: Distribution
    as_root: bool = False

    def perform(self, machine: Machine) -> None:
        BaseImage(machine, self.distribution, build_network(os.environ), as_root=self.as_root).ensure()


class BaseImage:
    """The base image of one engine."""

    def __init__(
        self, machine: Machine, distribution: Distribution, network: BuildNetwork, *, as_root: bool = False
    ) -> None:
        self._machine = machine
        self._distribution = distribution
        self._network = network
        self._as_root = as_root

    def ensure(self) -> str:
        """The id of the base image of this version, made if need be. Raises HostError."""
        template = '{{.Id}} {{index .Config.Labels "' + VERSION_LABEL + '"}}'
        identity, _, version = self._inspect(BASE_IMAGE, template).partition(" ")
        if version == recipe_version():
            return identity
        debian, origin = self._debian()
        with _secrets(self._network) as secrets:
            self._docker(*build_arguments(debian, origin, self._network, secrets), timeout=_BUILD_SECONDS)
        return self._inspect(BASE_IMAGE, "{{.Id}}")

    def _debian(self) -> tuple[str, str]:
        """An image of Debian alone, and where it came from."""
        if digest := self._pulled():
            return _PULLED, digest
        if not self._inspect(_IMPORTED, "{{.Id}}"):
            self._import()
        return _IMPORTED, f"debootstrap-{_RELEASE}"

    def _pulled(self) -> str:
        """The digest of the pulled image; empty where no registry answers soon."""
        template = '{{join .RepoDigests " "}}'
        if digest := self._inspect(_PULLED, template):
            return digest
        try:
            self._docker("manifest", "inspect", _PULLED, timeout=_PROBE_SECONDS)
            self._docker("pull", "--quiet", _PULLED, timeout=_PULL_SECONDS)
        except HostError:
            return ""
        return self._inspect(_PULLED, template)

    def _import(self) -> None:
        machine = self._machine
        try:
            InstallPackages(debootstrap_packages(self._distribution)).perform(machine)
            machine.run(["rm", "-rf", str(_ROOT)], root=True)
            machine.run(["mkdir", "-p", str(_ROOT)], root=True)
            self._bootstrap()
            machine.pipe(
                ["tar", "--create", "--numeric-owner", f"--directory={_ROOT}", *_left_out(), "."],
                ["docker", "import", "--change", 'CMD ["bash"]', "-", _IMPORTED],
                timeout=300,
            )
        except HostError as error:
            raise HostError(
                f"no container registry answers, and Debian's packages couldn't be had either: {error}",
                "make a registry or a Debian mirror reachable from this machine, then: binder-control setup",
            ) from error
        finally:
            machine.run(["rm", "-rf", str(_ROOT)], root=True)

    def _bootstrap(self) -> None:
        """A mirror that drops a connection fails debootstrap; the next try goes on with what it has."""
        command = ["debootstrap", "--variant=minbase", _RELEASE, str(_ROOT), *debian_mirror(self._distribution)]
        for tries_left in reversed(range(_BOOTSTRAP_TRIES)):
            try:
                self._machine.run(command, root=True, timeout=_BUILD_SECONDS)
                return
            except HostError:
                if not tries_left:
                    raise

    def _inspect(self, image: str, template: str) -> str:
        try:
            return self._docker("image", "inspect", "--format", template, image, timeout=30).strip()
        except HostError:
            return ""

    def _docker(self, *arguments: str, timeout: float) -> str:
        return self._machine.run(
            ["docker", *arguments], root=self._as_root, timeout=timeout, environment=self._network.proxies
        )


def build_arguments(debian: str, origin: str, network: BuildNetwork, secrets: Mapping[str, Path]) -> list[str]:
    """What `docker` is told. Proxies are named, never shown: arguments can be read by anybody."""
    arguments = {"DEBIAN": debian, "ORIGIN": origin, "BASE_VERSION": recipe_version()}
    return [
        *("buildx", "build", "--builder=default", "--load", "--progress=plain"),
        f"--tag={BASE_IMAGE}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--build-arg={name}" for name in sorted(network.proxies)),
        *(f"--secret=id={name},src={path}" for name, path in sorted(secrets.items())),
        str(RECIPE),
    ]


@contextmanager
def _secrets(network: BuildNetwork) -> Iterator[dict[str, Path]]:
    secrets = {"ca": network.ca} if network.ca else {}
    with tempfile.TemporaryDirectory(prefix="binder-base-") as name:
        if network.script:
            secrets["network"] = Path(name) / "network"
            secrets["network"].write_text(network.script, encoding="utf-8")
        yield secrets


def debootstrap_packages(distribution: Distribution) -> tuple[str, ...]:
    """Debootstrap, and the keys of Debian's archive where the system is not Debian."""
    return ("debootstrap",) if distribution.id == "debian" else ("debootstrap", "debian-archive-keyring")


def debian_mirror(distribution: Distribution) -> list[str]:
    """The mirror this machine itself uses; elsewhere than on Debian debootstrap knows its own."""
    if distribution.id != "debian":
        return []
    own = apt.of_suite(apt.read_sources(), distribution.codename)
    return [source.uris[0] for source in own if distribution.codename in source.suites][:1]


def _left_out() -> list[str]:
    """What no container needs: package lists and archives, manuals, translations, documents but the licences."""
    patterns = (
        "./var/cache/apt/archives/*.deb",
        "./var/lib/apt/lists/*_*",
        "./var/log/*",
        "./usr/share/man/*",
        "./usr/share/locale/*",
        "./usr/share/doc/*/changelog*",
        "./usr/share/doc/*/NEWS*",
        "./usr/share/doc/*/README*",
        "./usr/share/doc/*/examples",
    )
    return [f"--exclude={pattern}" for pattern in patterns]
