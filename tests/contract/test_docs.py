"""The documentation says what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from binder_deploy.backends.kubernetes.settings import KubernetesSettings
from binder_deploy.backends.kubernetes.sites import site_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")])


def test_the_page_of_the_api_is_made_from_the_table() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/api_docs.py"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (ROOT / "docs/api.md").read_text() == made.stdout, "run: python scripts/api_docs.py > docs/api.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    for named in re.findall(r"`((?:binder_|tests/|scripts/|benchmarks/|examples/|docs/)[\w/.-]+)`", page.read_text()):
        assert (ROOT / named.replace("…", "")).exists() or (ROOT / f"{named.replace('.', '/')}.py").exists(), named


def test_every_case_of_a_repository_stands_beside_what_it_shows() -> None:
    rows = [line.split("|") for line in (ROOT / "docs/buildpacks.md").read_text().splitlines() if line.startswith("| ")]
    named = {word.strip() for row in rows for word in row[-2].split(",")} - {"cases", "---"}
    cases = {each.name for each in (ROOT / "tests/repos").iterdir() if each.suffix != ".stub"}
    assert named == cases


def test_the_example_of_a_buildpack_is_shown_as_it_is() -> None:
    example = (ROOT / "examples/buildpack/binder_buildpack_pages.py").read_text().rstrip()
    assert f"```python\n{example}\n```" in (ROOT / "docs/buildpacks.md").read_text()


def test_every_setting_of_a_cluster_is_told_of() -> None:
    text = (ROOT / "docs/kubernetes.md").read_text()
    table = text.partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert told == {name.replace("_", "-") for name in KubernetesSettings.model_fields}


def test_the_example_of_a_patch_is_taken(tmp_path: Path) -> None:
    text = (ROOT / "docs/kubernetes.md").read_text().partition("## A patch of every pod")[2]
    file = tmp_path / "patch.yaml"
    file.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    site = site_of(KubernetesSettings(pod_patch=file, network_policy=False), "suite", guard="http://deploy")
    assert site.pod_patch["metadata"] == {"annotations": {"example.org/team": "maths"}}
