"""From a tree to a Dockerfile: which buildpack wins, what it renders, what is left aside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.apt import parse_apt
from binder_plan.plan import make_recipe
from binder_plan.recipe import Base, Kind, PlanSettings, Recipe
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

BASE = Base("binder-base:latest", "sha256:" + "0" * 64)
GOLDEN = Path(__file__).parent / "plans"

PACKAGE = '[project]\nname = "thing"\nversion = "1"\ndependencies = ["six"]\n'
BUILT = PACKAGE + '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
DYNAMIC = BUILT.replace('dependencies = ["six"]', 'dynamic = ["dependencies"]')
OUTSIDE = ["/etc/passwd", "/proc/self/environ", "../outside", "requirements.txt", ".git/config"]
NO_PACKAGES = ["-o=x", "--help", "a;id", "$(id)", "`id`", "a|b", "systemd-", "A", "../x", "é", "a=1;b", "a&b"]


def write(root: Path, files: dict[str, str]) -> Tree:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Tree(root)


def recipe(root: Path, files: dict[str, str], **settings: object) -> Recipe:
    return make_recipe(write(root, files), BASE, PlanSettings(cache_scope="scope", **settings))  # type: ignore[arg-type]


CASES: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "bare": ({"index.ipynb": "{}"}, {}),
    "requirements": ({"requirements.txt": "six\n", "index.ipynb": "{}"}, {}),
    "wheels": (
        {"requirements.txt": "six\n", "pyproject.toml": BUILT, "apt.txt": "graphviz\n", "index.ipynb": "{}"},
        {"sources": False},
    ),
    "everything": (
        {
            "binder/requirements.txt": "-r more/extra.txt\n-c ../constraints.txt\nsix\n",
            "binder/more/extra.txt": "attrs\n",
            "constraints.txt": "six<2\n",
            "binder/apt.txt": "graphviz  # pictures\ngit=1:2.47\n",
            "binder/postBuild": "#!/bin/bash\n",
            "binder/start": '#!/bin/sh\nexec "$@"\n',
            "requirements.txt": "ignored\n",
        },
        {"ca": True},
    ),
    "local-requirement": ({"requirements.txt": "-e .\nsix\n", "pyproject.toml": BUILT}, {}),
    "pyproject": ({"pyproject.toml": BUILT, "thing.py": ""}, {}),
    "pyproject-without-build-system": ({"pyproject.toml": PACKAGE}, {}),
    "pyproject-dynamic": (
        {"pyproject.toml": BUILT.replace('dependencies = ["six"]', 'dynamic = ["dependencies"]')},
        {},
    ),
    "secret-index": ({"requirements.txt": "six\n"}, {"index": True, "index_secret": True, "ca": True}),
    "secrets": (
        {"requirements.txt": "six\n", "apt.txt": "tree\n", "postBuild": "#!/bin/sh\n"},
        {"secrets": ("licence", "token"), "indexes": ("lab",), "sources": False},
    ),
    "classic": ({"requirements.txt": "six\n", "apt.txt": "tree\n"}, {"buildkit": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_dockerfile_is_the_expected_one(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files, settings = CASES[case]
    text = recipe(tmp_path, files, **settings).dockerfile
    expected = GOLDEN / f"{case}.Dockerfile"
    if request.config.getoption("--update-snapshots"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_contents_come_after_everything_that_does_not_need_them(tmp_path: Path) -> None:
    files, settings = CASES["everything"]
    kinds = [step.kind for step in recipe(tmp_path, files, **settings).steps]
    assert kinds == [Kind.SYSTEM, Kind.DEPENDENCIES, Kind.DEPENDENCIES, Kind.CONTENTS, Kind.CONTENTS, Kind.POST_BUILD]


def test_the_order_of_precedence(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"a": ""}).buildpack == "bare"
    assert recipe(tmp_path, {"pyproject.toml": PACKAGE}).buildpack == "python"
    found = recipe(tmp_path, {"Dockerfile": "FROM binder-base\nEXPOSE 9000\nCMD python -m http.server 9000\n"})
    assert found.buildpack == "dockerfile"
    assert found.launch.port == 9000
    assert found.launch.command == ("/bin/sh", "-c", "python -m http.server 9000")
    assert {each.path for each in found.ignored} == {"pyproject.toml"}


def test_a_binder_directory_takes_the_place_of_the_root(tmp_path: Path) -> None:
    found = recipe(tmp_path, {".binder/requirements.txt": "six\n", "Dockerfile": "FROM x\n", "apt.txt": "tree\n"})
    assert found.files == (".binder/requirements.txt",)
    assert {each.path: each.reason for each in found.ignored} == {
        "Dockerfile": ".binder/ takes the place of the root",
        "apt.txt": ".binder/ takes the place of the root",
    }


def test_both_binder_directories_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match=r"both binder/ and \.binder/"):
        recipe(tmp_path, {"binder/a": "", ".binder/a": ""})


def test_settings_of_tools_alone_make_no_python_project(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"pyproject.toml": "[tool.ruff]\n"}).buildpack == "bare"


def test_what_this_version_does_not_read_is_said(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"uv.lock": ""})
    assert found.ignored[0].path == "uv.lock"
    assert "uv.lock" in found.warnings[0]


def test_the_plan_on_the_wire_tells_what_decided(tmp_path: Path) -> None:
    plan = recipe(tmp_path, {"requirements.txt": "six\n"}).plan(
        name="o-r", repository="https://github.com/o/r", commit="a" * 40, ref="main"
    )
    assert (plan.name, plan.buildpack, plan.files, plan.port) == ("o-r", "python", ["requirements.txt"], 8888)
    assert plan.labels["org.binder.base"] == BASE.id


def test_a_dockerignore_never_takes_build_files_away(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"requirements.txt": "six\n", ".dockerignore": "*.txt\n"})
    assert found.dockerignore is not None
    assert found.dockerignore.splitlines() == [".git", "**/.git", "*.txt", "!requirements.txt"]


# --- what can't be used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "/proc/self/environ", "../outside", "requirements.txt", ".git/config"]
)
@pytest.mark.parametrize("name", ["requirements.txt", "Dockerfile", "apt.txt", "postBuild", "start", "pyproject.toml"])
def test_a_build_file_that_leads_out_of_the_repository_is_refused(tmp_path: Path, name: str, target: str) -> None:
    (tmp_path / "outside").write_text("six\n")
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / ".git/config").write_text("")
    if target == "requirements.txt" and name != target:
        target = name
    (tree / name).symlink_to(target)
    with pytest.raises(InvalidRepository, match=name):
        make_recipe(Tree(tree), BASE, PlanSettings())


def test_a_link_inside_the_repository_is_fine(tmp_path: Path) -> None:
    write(tmp_path, {"env/requirements.txt": "six\n"})
    (tmp_path / "requirements.txt").symlink_to("env/requirements.txt")
    assert make_recipe(Tree(tmp_path), BASE, PlanSettings()).buildpack == "python"


def test_special_and_broken_files_are_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "requirements.txt")
    with pytest.raises(InvalidRepository, match="not a regular file"):
        make_recipe(Tree(tmp_path), BASE, PlanSettings())
    (tmp_path / "requirements.txt").unlink()
    for content, words in ((b"\xff\xfe\xfa", "UTF-8"), (b"a\0b", "text"), (b"x" * 1_000_001, "1 MB")):
        (tmp_path / "requirements.txt").write_bytes(content)
        with pytest.raises(InvalidRepository, match=words):
            make_recipe(Tree(tmp_path), BASE, PlanSettings())


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match=r"pyproject\.toml is not valid TOML"):
        recipe(tmp_path, {"pyproject.toml": "[project\n"})


def test_a_subdirectory_is_the_whole_context(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "FROM x", "sub/requirements.txt": "six"})
    tree = Tree(tmp_path, "sub")
    assert tree.root == tmp_path / "sub"
    assert make_recipe(tree, BASE, PlanSettings()).buildpack == "python"
    with pytest.raises(InvalidRepository, match="no directory other"):
        Tree(tmp_path, "other")


@pytest.mark.parametrize("target", ["/etc", ".."])
def test_a_subdirectory_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/sub").symlink_to(target)
    with pytest.raises(InvalidRepository):
        Tree(tmp_path / "tree", "sub")


# --- apt.txt --------------------------------------------------------------------------------------------------------


def test_apt_txt_has_names_and_comments() -> None:
    assert parse_apt("# all\ngraphviz git=1:2.47.3-0+deb13u1\n\nlibc6:arm64 # last\ng++\ngraphviz\n") == (
        "graphviz",
        "git=1:2.47.3-0+deb13u1",
        "libc6:arm64",
        "g++",
    )


@pytest.mark.parametrize(
    "text", ["-o=x", "--help", "a;id", "$(id)", "`id`", "a|b", "systemd-", "A", "../x", "é", "a=1;b", "a&b"]
)
def test_what_is_no_package_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"apt\.txt, line 2"):
        parse_apt(f"graphviz\n{text}\n")


@given(st.text(max_size=60))
def test_whatever_apt_txt_holds_only_plain_words_come_out(text: str) -> None:
    try:
        packages = parse_apt(text)
    except InvalidRepository:
        return
    for package in packages:
        assert package[0].isalnum()
        assert set(package) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-:=~")


# --- Git LFS --------------------------------------------------------------------------------------------------------

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a1' * 32}\nsize 1234567\n"


def test_pointers_of_git_lfs_are_told_of(tmp_path: Path) -> None:
    files = {"data/big file.csv": POINTER, "a.bin": POINTER, "note.txt": POINTER + "text", "small": POINTER[:50]}
    (warning,) = recipe(tmp_path, files).warnings
    assert warning.startswith("a.bin, data/big file.csv: the contents are in Git LFS")
    assert "postBuild" in warning


def test_many_pointers_are_told_of_in_short(tmp_path: Path) -> None:
    (warning,) = recipe(tmp_path, {f"{number:04}.csv": POINTER for number in range(40)}).warnings
    assert warning.startswith("0000.csv, 0001.csv, 0002.csv, 0003.csv, 0004.csv and 35 more: ")


def test_a_link_out_of_the_repository_is_no_pointer(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(POINTER)
    tree = write(tmp_path / "tree", {"a": ""})
    (tmp_path / "tree/link").symlink_to("../outside")
    (tmp_path / "tree/loop").symlink_to(".")
    assert make_recipe(tree, BASE, PlanSettings()).warnings == ()


def test_the_search_for_pointers_has_an_end(tmp_path: Path) -> None:
    tree = write(tmp_path, {f"d{number % 7}/{number}": "" for number in range(50)} | {"top": "1"})
    assert len(list(tree.sizes(20))) == 20 - 7, "directories count, too"
    assert next(iter(tree.sizes(20))) == ("top", 1)
    assert len(list(tree.sizes(1_000))) == 51
