"""What a repository's own Dockerfile may not do, and the text that is built in its stead. Pure.

The engine refuses privileges by itself, too; here the refusal names the line and what to write instead. Images of other
builds, addresses of this host and caches of others are kept from it here alone.
"""

from __future__ import annotations

import re

from binder_plan.dockerfile import SECRETS, network_mounts, secret_id
from binder_plan.dockerfiles.instructions import Instruction, directives, expand, instructions
from binder_plan.recipe import PlanSettings
from binder_protocol.errors import BadRepoSource, InvalidRepository

_OWN_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")
_HUB = re.compile(r"(?:(?:registry-1|index)?\.?docker\.io/)(?:library/)?")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{7,64}")
_RESERVED_LABEL = re.compile(r"(?:^|[\s\"'])(?:traefik|org\.binder)\.", re.I)
_PLAIN_SOURCE = re.compile(r"(?:\./|/)?[\w.-]+(?:/|$)")


def check(text: str, path: str, arguments: dict[str, str], settings: PlanSettings) -> None:
    """Raises `InvalidRepository`, which names the line, for what this service doesn't do, or can't for want of one."""
    if not instructions(text):
        raise InvalidRepository(f"{path} is empty", suggestions=("write what it builds from, or remove it",))
    _Check(path, arguments, settings).syntax(text)
    # A line that hides behind a here-document in one reading and not in the other is seen in both.
    for heredocs, strict in ((True, True), (False, False)):
        _Check(path, arguments, settings, strict=strict).all(instructions(text, heredocs=heredocs))


def prepared(text: str, settings: PlanSettings) -> tuple[str, tuple[str, ...]]:
    """The text to build, and what is to be said about its changes.

    RUN steps get this host's CA bundle and indexes, and caches and secrets of this scope's own; the line of a frontend
    is left out unless this host pulls frontends.
    """
    warnings: list[str] = []
    lines = text.split("\n")
    syntax = directives(text).get("syntax")
    if syntax is not None and not settings.frontends:
        lines[syntax[1] - 1] = f"# {syntax[0]}: the engine's own frontend is used"
        warnings.append(f"# syntax={syntax[0]} is left out: the engine's own frontend is used")
    if settings.buildkit:
        mounts = " ".join(network_mounts(settings))
        for instruction in instructions(text):
            if instruction.name == "RUN":
                _prepare_run(lines, instruction, mounts, settings.cache_scope)
    return "\n".join(lines), tuple(warnings)


def _prepare_run(lines: list[str], instruction: Instruction, mounts: str, scope: str) -> None:
    for flag in instruction.flags:
        if not flag.lower().startswith("--mount="):
            continue
        scoped = _scoped_cache if "type=cache" in flag.lower() else _scoped_secret
        if scoped is _scoped_secret and "type=secret" not in flag.lower():
            continue
        for at in range(instruction.first - 1, instruction.last):
            if flag in lines[at]:
                lines[at] = lines[at].replace(flag, scoped(flag, scope), 1)
                break
        else:
            raise InvalidRepository(
                f"the Dockerfile, line {instruction.first}: a mount goes over several lines",
                suggestions=("write it on one line",),
            )
    if mounts:
        at = instruction.first - 1
        lines[at] = re.sub(r"^(\s*run)(?=\s|$)", rf"\g<1> {mounts}", lines[at], count=1, flags=re.I)


def _scoped_cache(flag: str, scope: str) -> str:
    """A cache mount that only builds of `scope` share."""
    fields, values = _fields(flag)
    name = values.get("id") or values.get("target") or values.get("dst") or values.get("destination") or "cache"
    kept = [field for field in fields if not field.lower().startswith("id=")]
    return f"--mount={','.join([*kept, f'id=own-{scope}-{name}'])}"


def _scoped_secret(flag: str, scope: str) -> str:
    """The mount of a secret of `scope`: what a step made with it is taken from the cache for no other one."""
    fields, values = _fields(flag)
    target = values.get("target") or values.get("dst") or values.get("destination")
    name = values.get("id") or values.get("source") or values.get("src") or (target or "").rpartition("/")[2]
    kept = [field for field in fields if not field.lower().startswith(("id=", "source=", "src="))]
    if target is None and "env" not in values:
        kept.append(f"target={SECRETS}/{name}")
    return f"--mount={','.join([*kept, f'id={secret_id(name, scope)}'])}"


def _fields(flag: str) -> tuple[list[str], dict[str, str]]:
    fields = [field.strip('"') for field in flag.partition("=")[2].split(",")]
    return fields, {key.lower(): value for key, _, value in (field.partition("=") for field in fields)}


class _Check:
    """One pass over a Dockerfile. Where not `strict`, what can't be understood is left to the other pass."""

    def __init__(self, path: str, arguments: dict[str, str], settings: PlanSettings, *, strict: bool = True) -> None:
        self._path = path
        self._settings = settings
        self._strict = strict
        self._arguments = arguments
        self._variables: dict[str, str] = {}
        self._stages: set[str] = set()

    def syntax(self, text: str) -> None:
        found = directives(text).get("syntax")
        if found is not None and not _OWN_FRONTEND.fullmatch(found[0]):
            raise self._refusal(
                found[1], "a foreign frontend is not run", "leave the syntax line out, or name docker/dockerfile"
            )

    def all(self, found: list[Instruction]) -> None:
        for instruction in found:
            name = instruction.name.removeprefix("ONBUILD ")
            if name == "ARG" and not self._stages:
                self._argument(instruction)
            elif name == "FROM":
                self._from(instruction)
            elif name == "RUN":
                self._run(instruction)
            elif name in ("COPY", "ADD"):
                self._copy(instruction, name)
            elif name == "LABEL" and _RESERVED_LABEL.search(instruction.value):
                raise self._refusal(
                    instruction.first, "labels of traefik and org.binder are Binder's own", "leave the label out"
                )

    def _argument(self, instruction: Instruction) -> None:
        for word in instruction.words:
            name, separator, default = word.partition("=")
            if name in self._arguments:
                self._variables[name] = self._arguments[name]
            elif separator:
                value = expand(default.strip("\"'"), self._variables)
                if value is not None:
                    self._variables[name] = value

    def _from(self, instruction: Instruction) -> None:
        words = instruction.words
        if not words:
            return
        self._image(words[0], instruction.first, self._variables)
        alias = words[2] if len(words) == 3 and words[1].lower() == "as" else ""
        self._stages.update({str(len(self._stages)), alias.lower()} - {""} or {"0"})

    def _run(self, instruction: Instruction) -> None:
        for flag in instruction.flags:
            name, _, value = flag.lower().partition("=")
            if name == "--network" and value not in ("default", "none"):
                raise self._refusal(instruction.first, "a step doesn't get the host's network", f"leave {flag} out")
            if name in ("--security", "--device") and value != "sandbox":
                raise self._refusal(instruction.first, "a step gets no privileges", f"leave {flag} out")
            if name == "--mount":
                self._mount(flag, instruction.first)

    def _mount(self, flag: str, line: int) -> None:
        for field in flag.partition("=")[2].split(","):
            key, _, value = field.strip('"').partition("=")
            if key.lower() == "from":
                self._image(value, line, {})
            if key.lower() == "id" and value.startswith("binder-"):
                raise self._refusal(line, "mounts whose id starts with binder- are Binder's own", "use another id")
            if key.lower() == "type" and "$" in value:
                raise self._refusal(line, "the type of a mount is written without variables", "write it out")
            if key.lower() in ("id", "target", "dst", "destination") and "$" in value and "type=cache" in flag.lower():
                raise self._refusal(line, "a cache's id and target are written without variables", "write them out")

    def _copy(self, instruction: Instruction, name: str) -> None:
        for flag in instruction.flags:
            key, _, value = flag.partition("=")
            if key.lower() == "--from":
                self._image(value, instruction.first, {})
        if name == "ADD" and not self._settings.allow_remote_add:
            for source in instruction.words[:-1]:
                if not _is_local(source):
                    raise self._refusal(
                        instruction.first,
                        "ADD takes files of the repository alone, for it would run in the engine's own network",
                        "download in a RUN step, with curl or git",
                    )

    def _image(self, text: str, line: int, variables: dict[str, str]) -> None:
        """Refuses images of other builds, and registries at addresses where none may be asked."""
        image = expand(text.strip("\"'"), variables)
        if image is None:
            if self._strict:
                raise self._refusal(
                    line,
                    "the image can't be told before the build",
                    "give the variable a default with ARG above the first FROM",
                )
            return
        if image.lower() in self._stages or image == "scratch":
            return
        plain = _HUB.sub("", image, count=1)
        if _ID.fullmatch(plain) or plain.startswith(self._settings.private_prefixes):
            raise self._refusal(
                line, "images of other builds are theirs", "name an image of a registry, or binder-base"
            )
        first, slash, _ = plain.partition("/")
        if slash and re.search(r"[.:]|^localhost$", first):
            self._registry(re.sub(r":\d+$", "", first).strip("[]"), line)

    def _registry(self, host: str, line: int) -> None:
        try:
            allowed = self._settings.registry_allowed(host)
        except BadRepoSource:
            allowed = False
        if not allowed:
            raise self._refusal(
                line, "the registry is at an address that isn't public", "name an image of a public registry"
            )

    def _refusal(self, line: int, reason: str, suggestion: str) -> InvalidRepository:
        return InvalidRepository(
            f"{self._path}, line {line}: {reason}", suggestions=(suggestion,), details={"line": line}
        )


def _is_local(source: str) -> bool:
    if source.startswith("<<"):
        return True
    if "://" in source or re.match(r"[\w.-]+@[\w.-]+:", source) or source.startswith("github.com/"):
        return False
    return "$" not in source or (_PLAIN_SOURCE.match(source) is not None and ":" not in source)
