"""Buildpacks of other distributions: found, put in their places, and kept from breaking the service."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from binder_plan.buildpacks import BUILDPACKS
from binder_plan.plan import make_recipe
from binder_plan.recipe import PlanSettings
from binder_plan.third_party import GROUP, installed
from binder_protocol.errors import BuildpackFailed, InvalidRepository
from tests.unit.test_plan import BASE, write

EXAMPLE = Path(__file__).parents[2] / "examples" / "buildpack"
HERE = __name__


class Broken:
    name = "broken"
    before = "python"

    def detect(self, folder: object) -> object:
        raise ZeroDivisionError("a mistake")

    def render(self, *_: object) -> object:
        return None


class Wrong(Broken):
    name = "wrong"

    def detect(self, folder: object) -> object:
        return "yes"


class Refusing(Broken):
    name = "refusing"

    def detect(self, folder: object) -> object:
        raise InvalidRepository("its own words")


class Lost(Broken):
    before = "nothing-of-that-name"


class Namesake(Broken):
    name = "python"


def point(name: str) -> EntryPoint:
    return EntryPoint(name.lower(), f"{HERE}:{name}", GROUP)


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example, installed into a directory of its own as anybody would."""
    target = tmp_path / "site"
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(target)]
    subprocess.run([*command, str(EXAMPLE)], check=True)
    monkeypatch.syspath_prepend(str(target))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("binder_buildpack_pages", None)


def test_an_installed_distribution_adds_a_buildpack(distribution: None, tmp_path: Path) -> None:
    found = installed()
    assert found.problems == ()
    assert found.versions == (("pages", "1.0"),)
    names = [each.name for each in found.buildpacks]
    assert names.index("pages") == names.index("node") - 1
    tree = write(tmp_path / "tree", {"index.html": "hello"})
    recipe = make_recipe(tree, BASE, PlanSettings(), found.buildpacks)
    assert (recipe.buildpack, recipe.reason, recipe.launch.port) == ("pages", "index.html is a page", 8000)
    assert recipe.dockerfile.endswith('EXPOSE 8000\nCMD ["python", "-m", "http.server", "8000"]\n')


def test_the_example_is_short() -> None:
    assert len((EXAMPLE / "binder_buildpack_pages.py").read_text().splitlines()) <= 40


def test_without_others_there_are_ours() -> None:
    assert installed(points=[]).buildpacks == BUILDPACKS


@pytest.mark.parametrize("name", ["Missing", "Lost", "Namesake"])
def test_one_that_cannot_be_taken_is_left_out_by_name(name: str) -> None:
    found = installed(points=[point(name), point("Broken")])
    assert found.problems[0].startswith(f"buildpack {name.lower()} (")
    assert "broken" in [each.name for each in found.buildpacks]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Broken", "the buildpack broken failed: ZeroDivisionError: a mistake"),
        ("Wrong", "the buildpack wrong answered a str, no Detection"),
    ],
)
def test_one_that_breaks_fails_the_build_by_name(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BuildpackFailed, match=said):
        make_recipe(write(tmp_path, {"a": ""}), BASE, PlanSettings(), installed(points=[point(name)]).buildpacks)


def test_one_may_refuse_a_repository_in_its_own_words(tmp_path: Path) -> None:
    found = installed(points=[point("Refusing")])
    with pytest.raises(InvalidRepository, match="its own words"):
        make_recipe(write(tmp_path, {"a": ""}), BASE, PlanSettings(), found.buildpacks)
