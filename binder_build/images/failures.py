"""Why a build failed: from the failing step and what it printed to an error of our tree, with a next step. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from binder_build.images.progress import Failure
from binder_plan.recipe import Kind
from binder_protocol.errors import (
    BuildFailed,
    BuildStepFailed,
    DependencyFailed,
    EngineError,
    InvalidRepository,
    NoSpace,
    OutOfMemory,
    Unavailable,
)

_LAST_LINES = 20
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.I)
_KILLED = re.compile(r"exit code: 137|\bKilled\b|out of memory|Cannot allocate memory|MemoryError", re.I)
_NO_IMAGE = re.compile(
    r"failed to resolve source metadata for (?P<full>\S+?):? |pull access denied for (?P<denied>[^\s,]+)"
    r"|load metadata for (?P<meta>\S+)"
)
_UNREACHED = re.compile(r"dial tcp|no such host|i/o timeout|connection refused|network is unreachable|lookup ", re.I)
_ABSENT = re.compile(r'failed to (?:compute cache key|calculate checksum)[^"]*"?(?P<path>/[^":]*)"?: not found', re.I)
_PARSE = re.compile(
    r"dockerfile parse error(?: on)? line (?P<line>\d+): (?P<what>.*)"
    r"|(?P<unknown>unknown instruction.*|the Dockerfile cannot be empty)",
    re.I,
)
_ENTITLEMENT = re.compile(r"entitlement|security\.insecure|network\.host", re.I)
_ENGINE = re.compile(
    r"cannot connect to the docker daemon|error during connect|error reading from server|EOF$|no builder", re.I
)
_EXPORTING = "exporting to image"
_PUSHING = re.compile(
    r"failed to (?:push|authorize|do request|fetch)|unexpected status|dial tcp|server gave HTTP", re.I
)
_NO_STEP = re.compile(r"failed to create endpoint|OCI runtime create failed|failed to mount|no free address", re.I)
_INSTALLING = re.compile(
    r"\b(?:pip3?|uv|uvx|poetry|pipenv|conda|mamba|micromamba|apt|apt-get|apk|dnf|yum|npm|yarn|pnpm|gem|bundle|cargo|go"
    r"|composer|Rscript|install2\.r)\b.{0,80}?\b(?:install|add|sync|ci|get|update|mod|download|fetch|create)\b"
)

# What uv says where it may not build what it would have to.
_NO_WHEEL = re.compile(r"building from source is disabled|no usable wheels|[Bb]uilding source distributions|--no-build")

# What the last lines of a failed installation say, and what helps against it.
_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:gcc|g\+\+|cc|clang)\b.*(?:not found|no such file)|unable to find a compiler"
        r"|no such file or directory: '[\w.+/-]*(?:gcc|g\+\+|cc|clang)'",
        "name a compiler in apt.txt: build-essential",
    ),
    (
        r"can't be had here\. There is Python (?P<version>[\d.]+)\.",
        r"name Python \g<version>, as python-\g<version> in runtime.txt",
    ),
    (
        r"can't be had here\. There is Python",
        "operator: name where Pythons can be downloaded (`python_mirror`), or switch `managed_pythons` off",
    ),
    (r"Hash mismatch", "lock the versions anew: the index has other files than those whose hashes are listed"),
    (r"Python\.h: No such file", "name Python's headers in apt.txt: python3-dev"),
    (r"pg_config", "name PostgreSQL's headers in apt.txt: libpq-dev"),
    (
        r"Unable to locate package|has no installation candidate",
        "correct the name in apt.txt: it is not a package of Debian 13",
    ),
    (
        r"requires-python|requires a different python|no wheels with a matching Python",
        "choose versions that support the Python of the base image",
    ),
    (
        r"not found in the package registry|No matching distribution|there is no version of",
        "check the spelling and the version of the package",
    ),
    (
        r"(?:packages?|dependenc(?:y|ies)) .*(?:is|are) not available|packages not available:",
        "check the name of the R package: the snapshot of CRAN of that day doesn't have it",
    ),
    (r"there is no package called", "install that R package first, in install.R or by DESCRIPTION"),
    (
        r"unable to access index for repository",
        "choose another day in runtime.txt: no snapshot of CRAN of that day was reached",
    ),
    (
        r"there is no julia-|julia.*wrong checksum",
        "choose another version of Julia in Project.toml, or try again: Julia's download server didn't have it",
    ),
    (r"at \S+\.nix:\d+:\d+", "correct default.nix at the line that the log names"),
    (
        r"not found in the Nix search path|error: unable to download '",
        "pin and check what default.nix fetches",
    ),
    (r"No candidates were found for", "check the spelling, the version and the channel of the package"),
    (r"could not find subdir", "check the name of the channel"),
    (r"No solution found|conflict|cannot be installed because", "loosen the versions that exclude each other"),
    (
        r"invalid peer certificate|CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "operator: give the build this network's CA bundle (`ca_bundle`)",
    ),
    (
        r"Temporary failure in name|failed to lookup address|Connection refused|Network is unreachable|timed out"
        r"|error sending request",
        "try again: the package server didn't answer",
    ),
    (
        r"401 Unauthorized|403 Forbidden|valid authentication credentials",
        "name the credential of this package index with the build: --secret NAME",
    ),
    (r"Permission denied", "a step runs as uid 1000, without root's rights: system packages belong in apt.txt"),
    (
        r"\bconda: (?:command )?not found",
        "name the packages in requirements.txt or environment.yml: binder-base holds no conda",
    ),
    (
        r"(?m)(?:\w: (?:command )?not found|env: .{1,80}: No such file or directory)$",
        "a program is missing in the image: name the package that brings it in apt.txt",
    ),
    (
        r"npm help ci|ERR_PNPM_OUTDATED_LOCKFILE|lockfile needs to be updated|YN0028",
        "install once on your own machine, and commit the lock file with package.json",
    ),
    (r"bad interpreter|/bin/(?:ba)?sh\r", "save the script with Unix line ends"),
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known at the end of a failed build. `words` is what the builder said outside its records.

    `kinds` tells, by title, what the recipe's steps are for. `memory_limited`: its steps had a memory limit.
    `disk_limit`: a step was ended because it wrote more than so many bytes.
    """

    failure: Failure | None
    words: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] | None = None
    memory_limited: bool = False
    disk_limit: int | None = None


def explain(evidence: Evidence) -> BuildFailed | Unavailable:
    """The error to raise; its `details` hold the `step` and the last lines of its `log`."""
    failure = evidence.failure or Failure("", " ".join(evidence.words[-3:]), ())
    log = list(failure.lines[-_LAST_LINES:]) or list(evidence.words[-_LAST_LINES:])
    text = "\n".join([*failure.lines, failure.error, *evidence.words])
    error = _of_host(evidence, failure, text) or _of_text(failure, text) or _of_step(evidence, failure)
    error.details.update({"step": failure.step, "log": log} if failure.step else {"log": log})
    return error


def _of_host(evidence: Evidence, failure: Failure, text: str) -> BuildFailed | Unavailable | None:
    if evidence.disk_limit is not None:
        return NoSpace(
            f"{failure.step or 'a step'} wrote more than the {evidence.disk_limit / 1e9:.1f} GB that a step may",
            suggestions=("write less, or ask the operator for a higher limit (`disk`)",),
        )
    if _NO_SPACE.search(text):
        return NoSpace("the disk was full before the build was done")
    killed = _KILLED.search("\n".join([*failure.lines[-_LAST_LINES:], failure.error]))
    if evidence.memory_limited and killed:
        return OutOfMemory(f"{failure.step or 'a step'} took more memory than it may")
    if "exit code: 137" in failure.error:
        return OutOfMemory(f"{failure.step or 'a step'} was killed, as steps that take too much memory are")
    if _NO_STEP.search(failure.error):
        return EngineError(
            "the Docker engine could not start a step", suggestions=("on the host: binder-control doctor",)
        )
    if failure.step == _EXPORTING and _PUSHING.search(failure.error):
        return EngineError(
            f"the image could not be pushed: {failure.error}"[:500],
            suggestions=("operator: see that the registry takes the login of the build service, and has room",),
        )
    if not failure.step and _ENGINE.search(text):
        return EngineError("the builder ended the build")
    return None


def _of_text(failure: Failure, text: str) -> BuildFailed | None:
    """What the Dockerfile asks for and can't be done, whatever step it is."""
    ran = "did not complete successfully" in failure.error
    if ran:
        return None
    parse = _PARSE.search(text)
    if parse:
        where = f"line {parse['line']}: {parse['what']}" if parse["line"] else parse["unknown"]
        return InvalidRepository(f"the Dockerfile can't be read, {where}"[:300], suggestions=("correct that line",))
    if _ENTITLEMENT.search(failure.error):
        return InvalidRepository(
            "the Dockerfile asks for privileges, which no build gets", suggestions=("leave them out",)
        )
    absent = _ABSENT.search(text)
    if absent:
        path = absent["path"].strip("/")
        return InvalidRepository(
            f"the Dockerfile copies {path}, which is not in the repository, or excluded by .dockerignore",
            suggestions=(f"commit {path}, or correct the line",),
        )
    image = _NO_IMAGE.search(f"{failure.step} {failure.error}")
    if image:
        return _no_image(next(filter(None, image.groups())), unreached=_UNREACHED.search(text) is not None)
    return None


def _no_image(name: str, *, unreached: bool) -> InvalidRepository:
    name = name.removeprefix("docker.io/").removeprefix("library/")
    if not unreached:
        return InvalidRepository(
            f"the image {name} can't be pulled", suggestions=("check its name; it must be public",)
        )
    return InvalidRepository(
        f"the image {name} can't be pulled: no container registry is reached from this host",
        suggestions=("build FROM binder-base:latest, or put the image on the host first",),
    )


def _of_step(evidence: Evidence, failure: Failure) -> BuildFailed:
    kind = (evidence.kinds or {}).get(failure.step, Kind.OTHER)
    code = re.search(r"exit code: (\d+)", failure.error)
    how = f"ended with exit code {code[1]}" if code else "failed"
    lines = "\n".join(failure.lines)
    found = ((re.search(pattern, lines, re.I), hint) for pattern, hint in _HINTS)
    hints = tuple(match.expand(hint) for match, hint in found if match)[:3]
    installing = kind in (Kind.SYSTEM, Kind.DEPENDENCIES, Kind.PROJECT) or (
        kind is Kind.OTHER and _INSTALLING.search(failure.step) is not None
    )
    message = f"{failure.step} {how}" if failure.step else "the build failed"
    if installing:
        details = {"sources": True} if kind is Kind.DEPENDENCIES and _NO_WHEEL.search(lines) else None
        return DependencyFailed(message, suggestions=hints or None, details=details)
    return BuildStepFailed(message, suggestions=hints or ("see the last lines of the step in the log",))
