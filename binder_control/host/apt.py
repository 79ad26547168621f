"""The machine's own apt sources: read, and pointed at another suite of the same distribution.

No host of packages is written down anywhere in Binder: what the machine uses is what Binder uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path("/etc/apt")


@dataclass(frozen=True)
class Source:
    """One entry of apt's sources. `signed_by` is a path, a key id, or the key itself as apt spells it; or empty."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def stanza(self) -> str:
        lines = [
            "Types: deb",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def read_sources(directory: Path = SOURCES) -> list[Source]:
    """All enabled `deb` entries below `directory`, of both spellings; files that can't be read are left out."""
    files = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if file.suffix == ".sources":
            found += parse_stanzas(text)
        elif file.suffix == ".list":
            found += parse_lines(text)
    return found


def of_suite(sources: Iterable[Source], codename: str) -> list[Source]:
    """The entries of one release: its own suite, its updates and its security suite; nobody else's packages."""
    wanted = {codename, f"{codename}-updates", f"{codename}-security"}
    return [
        Source(source.uris, suites, source.components, source.signed_by)
        for source in sources
        if "main" in source.components and (suites := tuple(suite for suite in source.suites if suite in wanted))
    ]


def retargeted(sources: Iterable[Source], codename: str, newer: str) -> list[Source]:
    """The entries of `codename`, spelled for the release `newer`, main only."""
    return [
        Source(
            source.uris,
            tuple(newer + suite.removeprefix(codename) for suite in source.suites),
            ("main",),
            source.signed_by,
        )
        for source in of_suite(sources, codename)
    ]


def parse_lines(text: str) -> list[Source]:
    """`deb [signed-by=…] URI SUITE COMPONENT…`, one a line."""
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        words = words[1:]
        options = ""
        if words and words[0].startswith("["):
            end = next((i for i, word in enumerate(words) if word.endswith("]")), len(words) - 1)
            options = " ".join(words[: end + 1]).strip("[] ")
            words = words[end + 1 :]
        if len(words) < 3:
            continue
        given = dict(option.split("=", 1) for option in options.split() if "=" in option)
        found.append(Source((words[0],), (words[1],), tuple(words[2:]), given.get("signed-by", "")))
    return found


def parse_stanzas(text: str) -> list[Source]:
    """deb822: fields and their continuation lines, stanzas apart by blank lines."""
    found = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in ("no", "false", "0") or "deb" not in stanza.get("types", "").split():
            continue
        found.append(
            Source(
                tuple(stanza.get("uris", "").split()),
                tuple(stanza.get("suites", "").split()),
                tuple(stanza.get("components", "").split()),
                stanza.get("signed-by", ""),
            )
        )
    return found


def _stanzas(text: str) -> Iterable[Mapping[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0] in " \t" and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
