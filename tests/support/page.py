"""What a page tells people to type: its blocks of code, run as written but for what is another here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.cluster import Cluster

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code, and its language."""

    language: str
    text: str

    def changed(self, replaced: Mapping[str, str]) -> str:
        """Its text with other words; each of them must be there."""
        text = self.text
        for old, new in replaced.items():
            assert old in text, f"the page doesn't say {old!r} any more"
            text = text.replace(old, new)
        return text


def blocks(page: str, heading: str) -> list[Block]:
    """Those of a section, in their order."""
    section = (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [Block(language, text) for language, text in _BLOCK.findall(section)]


def programs(cluster: Cluster, home: Path) -> Path:
    """A directory with the `kubectl` of that cluster, for a shell's PATH."""
    made = home / "bin"
    made.mkdir()
    kubectl = made / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {" ".join(cluster.program)} "$@"\n')
    kubectl.chmod(0o755)
    return made


def typed(text: str, environ: Mapping[str, str], within: float = 300) -> str:
    """Runs lines of a shell at the root of the sources, as one would type them; what they print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=within,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout
