"""Lock files of conda, pixi and conda-lock: which files are installed on this platform, by address and hash."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from binder_plan.conda.channels import check_url
from binder_plan.conda.spec import MAX_SPECS, at, invalid
from binder_plan.conda.yamlfile import Text, Value, parse_yaml
from binder_plan.recipe import PlanSettings
from binder_protocol.errors import InvalidRepository

MAX_LOCK = 5_000_000
PLATFORM = "linux-64"
_FILE = re.compile(
    r".+/(?:linux-64|noarch)/(?P<name>[\w.-]+)-(?P<version>[\w.+!]+)-[\w.]+\.(?:conda|tar\.bz2)", re.ASCII
)
_HASHES = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]{0,99}")
_LOCAL = re.compile(r"\.(?:/|$)[A-Za-z0-9_./-]{0,200}|[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}")
_CATEGORIES = ("main", "dev", None)


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock file names. `packages` are conda's: their `url`, and `sha256`, `md5` or both.

    `pip` are lines of requirements with hashes; `local` are directories of the repository that are packages.
    """

    packages: tuple[dict[str, str], ...]
    pip: tuple[str, ...] = ()
    local: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """The addresses that the packages come from."""
        return tuple(sorted({each["url"].rsplit("/", 2)[0] for each in self.packages}))

    @property
    def versions(self) -> dict[str, str]:
        """Version by name."""
        matches = [_FILE.fullmatch(each["url"]) for each in self.packages]
        return {match["name"]: match["version"] for match in matches if match}


def parse_explicit(text: str, path: str, settings: PlanSettings) -> Lock:
    """A list with the line @EXPLICIT. Raises `InvalidRepository` that names the line."""
    packages = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#") or line == "@EXPLICIT":
            continue
        url, _, digest = line.partition("#")
        digest = digest.removeprefix("sha256:").removeprefix("md5:")
        hashes = {("sha256" if len(digest) == 64 else "md5"): digest} if digest else {}
        packages.append(_package(url, hashes, f"{path}, line {number}", settings))
    return _lock(path, packages)


def parse_conda_lock(text: str, path: str, settings: PlanSettings) -> Lock:
    """conda-lock.yml of version 1: its main and dev packages. Raises `InvalidRepository` that names the line."""
    facts = parse_yaml(text, path)
    if not isinstance(facts, dict) or facts.get("version") != "1" or not isinstance(facts.get("package"), list):
        raise invalid(path, None, "this is no lock file of conda-lock, version 1")
    packages, pip = [], []
    for each in _dicts(facts["package"], path):
        if each.get("platform") != PLATFORM or each.get("category") not in _CATEGORIES:
            continue
        url, hashes = each.get("url"), each.get("hash")
        if not isinstance(url, Text) or not isinstance(hashes, dict):
            raise invalid(path, url, "a package has no url or no hash")
        if each.get("manager") == "pip":
            pip.append(_requirement({**each, **hashes}, path))
        else:
            packages.append(_package(url, _found_hashes(hashes), at(path, url), settings))
    return _lock(path, packages, pip)


def parse_pixi_lock(text: str, path: str, settings: PlanSettings) -> Lock:
    """The environment `default` of pixi.lock, versions 5 to 7. Raises `InvalidRepository` that names the line."""
    facts = parse_yaml(text, path)
    if not isinstance(facts, dict) or facts.get("version") not in ("5", "6", "7"):
        raise invalid(path, None, "this is no lock file of pixi, version 5 to 7")
    known = {}
    for each in _dicts(facts.get("packages"), path):
        known.update({each[kind]: each for kind in ("conda", "pypi") if isinstance(each.get(kind), Text)})
    named = _get(facts, "environments", "default", "packages", PLATFORM)
    if named is None:
        raise invalid(path, None, f"the environment default has no packages for {PLATFORM}")
    packages, pip, local = [], [], []
    for each in _dicts(named, path):
        place = each.get("conda", each.get("pypi"))
        if not isinstance(place, Text):
            raise invalid(path, None, "an entry is no package of conda or PyPI")
        details = known.get(place, {})
        if "conda" in each:
            packages.append(_package(place, _found_hashes(details), at(path, place), settings))
        elif "://" in place:
            pip.append(_requirement({**details, "url": place}, path))
        else:
            local.append(_local(place, path))
    return _lock(path, packages, pip, local)


def _lock(path: str, packages: list[dict[str, str]], pip: Iterable[str] = (), local: Iterable[str] = ()) -> Lock:
    if not packages:
        raise invalid(path, None, f"nothing is locked for {PLATFORM}")
    if len(packages) > MAX_SPECS:
        raise invalid(path, None, f"more than {MAX_SPECS} packages are locked")
    return Lock(tuple(packages), tuple(pip), tuple(local))


def _package(url: str, hashes: dict[str, str], where: str, settings: PlanSettings) -> dict[str, str]:
    check_url(url, where, settings)
    if not _FILE.fullmatch(url):
        raise InvalidRepository(
            f"{where}: this is no package of conda for {PLATFORM}", suggestions=(f"lock the platform {PLATFORM}",)
        )
    if any(not _HASHES[kind].fullmatch(value) for kind, value in hashes.items()):
        raise InvalidRepository(f"{where}: the hash is none", suggestions=("write the lock file anew",))
    return {"url": url, **hashes}


def _found_hashes(facts: dict[str, Value]) -> dict[str, str]:
    return {kind: str(value) for kind in _HASHES if (value := facts.get(kind)) is not None}


def _requirement(facts: dict[str, Value], path: str) -> str:
    """By name, version and hash, so that this host's index is asked for it."""
    name, version, digest, url = (facts.get(key) for key in ("name", "version", "sha256", "url"))
    where = url if isinstance(url, Text) else None
    if not isinstance(name, Text) or not isinstance(version, Text) or not isinstance(digest, Text):
        raise invalid(path, where, "a package of PyPI has no name, version or sha256")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version) or not _HASHES["sha256"].fullmatch(digest):
        raise invalid(path, where, "a package of PyPI has no valid name, version or sha256")
    return f"{name}=={version} --hash=sha256:{digest}"


def _local(place: Text, path: str) -> str:
    if not _LOCAL.fullmatch(place) or ".." in place.split("/"):
        raise invalid(path, place, "this package is not in the repository")
    return str(place)


def _dicts(value: Value, path: str) -> list[dict[str, Value]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise invalid(path, value, "a list of packages is missing")
    return [each for each in value if isinstance(each, dict)]


def _get(value: Value, *keys: str) -> Value:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
