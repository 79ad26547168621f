"""Writes kubernetes/ from the chart: `python scripts/manifests.py HELM`, with the path of a Helm of version 3."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHART, BASE = ROOT / "charts" / "binder", ROOT / "kubernetes"
KUBERNETES = "1.34.0"

_HEAD = "# Made from charts/binder by scripts/manifests.py: change the chart, or lay a kustomization over this.\n"
_SOURCE = re.compile(r"^# Source: binder/templates/(\S+)$", re.MULTILINE)
_OF_HELM = re.compile(r"^ *helm\.sh/chart: .*\n|^ *annotations:\n *checksum/config: .*\n", re.MULTILINE)


def rendered(helm: str, *values: str, name: str = "binder", namespace: str = "binder") -> str:
    """What Helm makes of the chart; `values` are its own options, such as `--set` and `deploy.replicas=2`."""
    command = [helm, "template", name, str(CHART), "--namespace", namespace, "--kube-version", KUBERNETES, *values]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def base(helm: str) -> dict[str, str]:
    """The files of kubernetes/ but its kustomization, by their names."""
    files: dict[str, str] = {}
    for part in re.split(r"^---\n", _OF_HELM.sub("", rendered(helm)), flags=re.MULTILINE):
        source = _SOURCE.search(part)
        if source is not None:
            body = _SOURCE.sub("", part).strip()
            known = files.get(source[1])
            files[source[1]] = f"{_HEAD}{body}\n" if known is None else f"{known}---\n{body}\n"
    return files


def main() -> None:
    """Writes what `base` says, and removes what it doesn't."""
    files = base(sys.argv[1])
    for old in BASE.glob("*.yaml"):
        if old.name != "kustomization.yaml" and old.name not in files:
            old.unlink()
    for name, text in files.items():
        (BASE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
