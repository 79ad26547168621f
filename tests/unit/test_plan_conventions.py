"""What all buildpacks have in common: the folder of build files, postBuild and start, what stays out of an image."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.apt import parse_apt
from binder_plan.ignore import dockerignore, own_patterns
from binder_plan.plan import make_recipe
from binder_plan.recipe import Base, Kind, PlanSettings, Recipe, Run
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

BASE = Base("binder-base:latest", "sha256:" + "0" * 64)
UNIX = r"LC_ALL=C sed --in-place --follow-symlinks -e '1s/^\xEF\xBB\xBF//' -e 's/\r$//' "


def recipe(root: Path, files: dict[str, bytes], executable: tuple[str, ...] = ()) -> Recipe:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(0o755 if name in executable else 0o644)
    return make_recipe(Tree(root), BASE, PlanSettings())


def commands(found: Recipe) -> list[str]:
    return [step.command for step in found.steps if isinstance(step, Run)]


# --- postBuild and start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "command", "warning"),
    [
        (b"#!/bin/bash\ntrue\n", "chmod +x postBuild && ./postBuild", ""),
        (b"#!/usr/bin/env python3\n", "chmod +x postBuild && ./postBuild", ""),
        (b"\x7fELF\0\r\n", "chmod +x postBuild && ./postBuild", ""),
        (b"# caf\xe9\n#!/bin/sh", "/bin/bash ./postBuild", "no first line"),
        (b"true", "/bin/bash ./postBuild", "no first line"),
        (b"#!/bin/sh\r\ntrue\r\n", UNIX + "postBuild && chmod +x postBuild && ./postBuild", "Windows line ends"),
        (b"\xef\xbb\xbf#!/bin/sh\n", UNIX + "postBuild && chmod +x postBuild && ./postBuild", "mark in front"),
        (b"true\r\n", UNIX + "postBuild && /bin/bash ./postBuild", "Windows line ends"),
    ],
)
def test_post_build_runs_whatever_way_it_was_saved(tmp_path: Path, content: bytes, command: str, warning: str) -> None:
    found = recipe(tmp_path, {"postBuild": content})
    assert found.steps[-1].kind is Kind.POST_BUILD
    assert commands(found) == [command]
    assert bool(found.warnings) == bool(warning)
    assert warning in " ".join(found.warnings)


@pytest.mark.parametrize(
    ("content", "executable", "expected"),
    [
        (b'#!/bin/sh\nexec "$@"\n', True, []),
        (b'#!/bin/sh\nexec "$@"\n', False, ["chmod +x start"]),
        (b'exec "$@"\n', False, []),
        (b'#!/bin/sh\r\nexec "$@"\r\n', True, [UNIX + "start && chmod +x start"]),
    ],
)
def test_start_is_made_ready_only_where_it_is_not(
    tmp_path: Path, content: bytes, executable: bool, expected: list[str]
) -> None:
    assert commands(recipe(tmp_path, {"start": content}, ("start",) if executable else ())) == expected


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        (b'#!/bin/sh\nexec "$@"\n', False),
        (b"#!/bin/bash -l\nexec $*\n", False),
        (b"#!/bin/bash\nexec ${@}\n", False),
        (b"#!/usr/bin/env python3\nimport os\n", False),
        (b"#!/bin/bash\nexec bokeh serve\n", True),
        (b"#!/usr/bin/env zsh\nbokeh serve\n", True),
    ],
)
def test_a_start_that_takes_jupyters_place_is_told(tmp_path: Path, content: bytes, warned: bool) -> None:
    found = recipe(tmp_path, {"start": content}, ("start",))
    assert any("takes the place of JupyterLab" in each for each in found.warnings) is warned
    assert found.labels.get("org.binder.app") == ("other" if warned else None)


def test_a_start_that_starts_jupyter_itself_leaves_the_token_to_it(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"start": b"#!/bin/bash\nexec jupyter lab --debug\n"}, ("start",))
    assert any("takes the place of JupyterLab" in each for each in found.warnings)
    assert "org.binder.app" not in found.labels


@pytest.mark.parametrize("name", ["postBuild", "start"])
@pytest.mark.parametrize("content", ["#!/bin/sh\n".encode("utf-16"), b"#!/bin/sh\n\0"])
def test_a_script_that_is_no_text_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InvalidRepository, match=f"{name} is not a text file"):
        recipe(tmp_path, {name: content})


def test_an_empty_start_is_refused_and_an_empty_post_build_does_nothing(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"postBuild": b"\n"})
    assert (commands(found), found.warnings) == ([], ("postBuild is empty",))
    with pytest.raises(InvalidRepository, match="start is empty"):
        recipe(tmp_path, {"start": b" \n"})


@pytest.mark.parametrize("name", ["apt.txt", "postBuild", "start"])
def test_a_directory_of_a_build_files_name_is_refused_among_build_files_alone(tmp_path: Path, name: str) -> None:
    assert recipe(tmp_path, {f"{name}/part.txt": b""}).buildpack == "bare"
    with pytest.raises(InvalidRepository, match=f"binder/{re.escape(name)} is a directory"):
        recipe(tmp_path, {f"binder/{name}/part.txt": b""})


def test_scripts_of_a_repository_with_a_dockerfile_are_not_looked_at(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"Dockerfile": b"FROM binder-base\n", "start": b"", "postBuild": b"a\0"})
    assert {each.path for each in found.ignored} == {"start", "postBuild"}


@given(st.binary(max_size=80))
def test_whatever_a_script_holds_only_its_name_gets_into_a_command(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        try:
            found = recipe(Path(place), {"postBuild": content, "start": content})
        except InvalidRepository:
            return
    known = {"chmod +x start", "chmod +x postBuild && ./postBuild", "/bin/bash ./postBuild"}
    assert {
        each.removeprefix(f"{UNIX}start && ").removeprefix(f"{UNIX}postBuild && ") for each in commands(found)
    } <= known


# --- binder/ --------------------------------------------------------------------------------------------------------


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "binder").symlink_to("config")
    found = recipe(tmp_path, {"config/apt.txt": b"tree\n"})
    assert found.files == ("config/apt.txt",)
    (tmp_path / ".binder").symlink_to("config")
    assert recipe(tmp_path, {}).files == ("config/apt.txt",)


def test_a_link_to_the_root_is_the_root_and_one_outside_is_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "binder").symlink_to(".")
    assert recipe(tree, {"apt.txt": b"tree\n"}).files == ("apt.txt",)
    (tree / "binder").unlink()
    (tree / "binder").symlink_to("..")
    assert recipe(tree, {}).files == ("apt.txt",)


# --- .dockerignore, .containerignore --------------------------------------------------------------------------------


def ignored(root: Path, files: dict[str, bytes]) -> list[str]:
    text = recipe(root, files).dockerignore
    assert text is not None
    return text.splitlines()


def test_both_ignore_files_count_containerignore_last(tmp_path: Path) -> None:
    files = {".dockerignore": b"\xef\xbb\xbf*.log\r\n# no\r\n\r\n", ".containerignore": b"  !keep.log \n"}
    assert ignored(tmp_path, files) == [".git", "**/.git", "*.log", "!keep.log"]


def test_whatever_decided_the_build_is_never_left_out(tmp_path: Path) -> None:
    files = {
        ".dockerignore": b"*\n",
        "binder/requirements.txt": b"six\n",
        "binder/apt.txt": b"tree\n",
        "binder/postBuild": b"#!/bin/sh\n",
        "binder/start": b'exec "$@"\n',
    }
    needed = {"!binder/requirements.txt", "!binder/apt.txt", "!binder/postBuild", "!binder/start"}
    lines = ignored(tmp_path, files)
    assert lines[:3] == [".git", "**/.git", "*"]
    assert set(lines[3:]) == needed


def test_without_patterns_nothing_has_to_be_taken_back(tmp_path: Path) -> None:
    assert ignored(tmp_path, {"requirements.txt": b"six\n", ".dockerignore": b"# none\n"}) == [".git", "**/.git"]


def test_a_dockerfile_gets_containerignore_too(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"Dockerfile": b"FROM binder-base\n"}).dockerignore is None
    assert ignored(tmp_path, {"Dockerfile": b"FROM binder-base\n", ".containerignore": b"*.log\n"}) == ["*.log"]


@pytest.mark.parametrize("bad", ["[", "!", "a[b", "x\\", "[z-a]", "[]", "! "])
def test_a_pattern_that_ends_every_build_is_left_out_with_a_warning(tmp_path: Path, bad: str) -> None:
    found = recipe(tmp_path, {".dockerignore": f"a\n{bad}\n[a-z]*.b\\*\n".encode()})
    assert found.dockerignore == ".git\n**/.git\na\n[a-z]*.b\\*\n"
    assert found.warnings == (".dockerignore, line 2 is no pattern; it has no effect",)


def test_names_are_no_patterns() -> None:
    assert dockerignore(["*"], ["a[1]*?.txt", "b\\c"]).splitlines()[-2:] == ["!a\\[1\\]\\*\\?.txt", "!b\\\\c"]


@given(st.text(max_size=60))
def test_patterns_come_out_one_a_line_whatever_the_file_holds(text: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / ".dockerignore").write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            patterns, _ = own_patterns(Tree(Path(place)))
        except InvalidRepository:
            return
    for pattern in patterns:
        assert pattern == pattern.strip()
        assert "\n" not in pattern
        assert pattern not in ("", "!")


# --- apt.txt --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(["tree", "git=1:2.47.3-0+deb13u1", "libc6:arm64", "g++"]), max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "  # a comment", "\t"]),
)
def test_apt_txt_is_the_same_however_an_editor_saves_it(packages: list[str], end: str, mark: str, tail: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "apt.txt").write_bytes((mark + "".join(f"{each}{tail}{end}" for each in packages)).encode())
        assert parse_apt(Tree(Path(place)).text("apt.txt")) == tuple(dict.fromkeys(packages))
