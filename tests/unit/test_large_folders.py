"""Which folders get a layer of their own, and how they are taken out of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from binder_build.sources.large_folders import set_apart
from binder_plan.large_folders import LARGE_FOLDERS, large_folders
from binder_plan.plan import make_recipe
from binder_plan.recipe import Base, PlanSettings
from binder_plan.tree import Tree

BASE = Base("binder-base:latest", "sha256:0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of one large folder, a hidden one, a small one, and a link to the first."""
    for folder, count in (("data", 500), (".hidden", 500), ("small", 499)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number}.txt").touch()
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "index.ipynb").touch()
    return tmp_path


def test_folders_of_many_files_are_large(root: Path) -> None:
    assert large_folders(Tree(root), ()) == ("data",)


def test_a_folder_with_a_file_that_the_build_needs_stays(root: Path) -> None:
    assert large_folders(Tree(root), ("data/1.txt",)) == ()


def test_a_repository_that_has_the_name_itself_is_left_alone(root: Path) -> None:
    (root / LARGE_FOLDERS).symlink_to("nowhere")
    assert large_folders(Tree(root), ()) == ()


def test_large_folders_are_copied_ahead_and_once(root: Path) -> None:
    recipe = make_recipe(Tree(root), BASE, PlanSettings())
    lines = [line for line in recipe.dockerfile.split("\n") if line.startswith("COPY")]
    assert lines == [
        "COPY --from=binder-large-folders --chown=1000:1000 . /home/jovyan/",
        "COPY --chown=1000:1000 . /home/jovyan/",
    ]
    assert recipe.dockerignore is not None
    assert LARGE_FOLDERS in recipe.dockerignore.split("\n")
    assert recipe.large_folders == ("data",)


@pytest.mark.parametrize("settings", [PlanSettings(buildkit=False), PlanSettings()])
def test_nothing_is_apart_without_buildkit_or_with_patterns_of_ones_own(root: Path, settings: PlanSettings) -> None:
    if settings.buildkit:
        (root / ".dockerignore").write_text("data/1*\n")
    recipe = make_recipe(Tree(root), BASE, settings)
    assert recipe.large_folders == ()
    assert "binder-large-folders" not in recipe.dockerfile


def test_setting_apart_moves_folders_and_keeps_dates(root: Path) -> None:
    before = root.stat().st_mtime_ns
    set_apart(root, ("data",))
    assert len(list((root / LARGE_FOLDERS / "data").iterdir())) == 500
    assert sorted(each.name for each in root.iterdir()) == [
        ".binder-large-folders",
        ".hidden",
        "index.ipynb",
        "link",
        "small",
    ]
    assert root.stat().st_mtime_ns == (root / LARGE_FOLDERS).stat().st_mtime_ns == before


def test_nothing_is_made_where_nothing_is_large(root: Path) -> None:
    set_apart(root, ())
    assert not (root / LARGE_FOLDERS).exists()
