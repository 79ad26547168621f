"""Python repositories: which file lists the packages, what is left aside, which Python is taken, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.plan import make_recipe
from binder_plan.python.requirements import numbered_lines, read_requirements
from binder_plan.python.version import from_range, from_version, parse_runtime, parse_version_file
from binder_plan.recipe import Base, Kind, PlanSettings, Recipe
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

BASE = Base("binder-base:latest", "sha256:" + "0" * 64)
GOLDEN = Path(__file__).parent / "plans"

PROJECT = '[project]\nname = "thing"\nversion = "1"\ndependencies = ["six"]\n'
BUILT = PROJECT + '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
HASH = "sha256:" + "ab" * 32
UV_LOCK = 'version = 1\n[[package]]\nname = "six"\nversion = "1"\nsource = { registry = "https://pypi.org/simple" }\n'
POETRY = '[tool.poetry.dependencies]\npython = "^3.9"\nsix = "^1"\n'
POETRY_LOCK = f'[[package]]\nname = "six"\nversion = "1.16.0"\nfiles = [{{file = "six.whl", hash = "{HASH}"}}]\n'
PIPFILE_LOCK = json.dumps(
    {
        "_meta": {"sources": [{"url": "https://pypi.org/simple"}, {"url": "https://more.example.org/simple"}]},
        "default": {"six": {"version": "==1.16.0", "hashes": [HASH], "markers": "python_version >= '3.8'"}},
        "develop": {"attrs": {"version": "==26.1.0", "extras": ["dev"]}},
    }
)
PYLOCK = 'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1"\nwheels = [{url = "https://x.org/s.whl"}]\n'


def recipe(root: Path, files: dict[str, str], **settings: object) -> Recipe:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return make_recipe(Tree(root), BASE, PlanSettings(cache_scope="scope", **settings))  # type: ignore[arg-type]


def refusal(root: Path, files: dict[str, str], **settings: object) -> str:
    with pytest.raises(InvalidRepository) as caught:
        recipe(root, files, **settings)
    assert caught.value.suggestions
    return "\n".join([str(caught.value), *caught.value.suggestions])


CASES: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "python-pipfile-lock": ({"Pipfile.lock": PIPFILE_LOCK}, {"sources": False}),
    "python-uv-lock": ({"uv.lock": UV_LOCK, "pyproject.toml": BUILT}, {"sources": False, "ca": True}),
    "python-poetry-lock": ({"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY}, {"sources": False}),
    "python-pylock": ({"pylock.toml": PYLOCK}, {"sources": False, "as_of": "2025-01-01"}),
    "python-setup-py": ({"setup.py": "", "requirements.txt": "six\n"}, {}),
    "python-mixed": ({"requirements.txt": "six\n./package\n--extra-index-url https://x.org/s\n"}, {"sources": False}),
    "python-managed": (
        {"runtime.txt": "python-3.10\n", "requirements.txt": "six\n"},
        {"sources": False, "mirrors": {"python": "https://mirror.example.org/pythons"}},
    ),
    "python-classic": ({"Pipfile": '[packages]\nsix = "*"\n'}, {"buildkit": False}),
    "python-uv-settings": (
        {
            "pyproject.toml": BUILT + '[tool.uv]\nconstraint-dependencies = ["attrs<26"]\nno-build = false\n'
            'override-dependencies = ["six==1.16"]\n[[tool.uv.index]]\nurl = "https://x.org/simple"\n'
        },
        {"sources": False},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_dockerfile_is_the_expected_one(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files, settings = CASES[case]
    text = recipe(tmp_path, files, **settings).dockerfile
    expected = GOLDEN / f"{case}.Dockerfile"
    if request.config.getoption("--update-snapshots"):
        expected.write_text(text)
    assert text == expected.read_text()


# --- precedence -----------------------------------------------------------------------------------------------------

LISTS = {
    "Pipfile.lock": PIPFILE_LOCK,
    "Pipfile": "",
    "requirements.txt": "six\n",
    "pylock.toml": PYLOCK,
    "uv.lock": UV_LOCK,
    "poetry.lock": POETRY_LOCK,
}


@pytest.mark.parametrize("first", range(len(LISTS)))
def test_the_first_list_decides_and_the_others_are_said_to_be_ignored(first: int, tmp_path: Path) -> None:
    there = dict(list(LISTS.items())[first:])
    found = recipe(tmp_path, {**there, "pyproject.toml": PROJECT, "setup.py": ""})
    winner, *others = there
    assert found.reason == f"{winner} names Python packages"
    ignored = {each.path: each.reason for each in found.ignored}
    assert {name: ignored.get(name) for name in others} == dict.fromkeys(others, f"{winner} decides")


def test_a_lock_without_its_project_is_ignored(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"uv.lock": UV_LOCK, "runtime.txt": "python-3.13"})
    assert {each.path: each.reason for each in found.ignored} == {"uv.lock": "there is no pyproject.toml beside it"}


def test_a_binder_directory_hides_setup_py(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"binder/requirements.txt": "six\n", "setup.py": ""})
    assert "install the project" not in found.dockerfile


def test_an_empty_list_installs_nothing(tmp_path: Path) -> None:
    assert "pip install" not in recipe(tmp_path, {"Pipfile": ""}).dockerfile


def test_a_notebook_does_not_change_the_environment(tmp_path: Path) -> None:
    files = {"requirements.txt": "six\n-e .\n", "pyproject.toml": BUILT, "a.ipynb": "1"}
    before = recipe(tmp_path, files).environment
    assert before is not None
    assert recipe(tmp_path, {"a.ipynb": "2"}).environment == before
    assert recipe(tmp_path, {"requirements.txt": "attrs\n-e .\n"}).environment != before


# --- which Python ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"requirements.txt": ""}, "3.13"),
        ({"requirements.txt": "", "runtime.txt": "python-3.12"}, "3.12"),
        ({"requirements.txt": "", "runtime.txt": "\ufeffpython-3.12.4\r\n"}, "3.12"),
        ({"requirements.txt": "", "runtime.txt": "python-3.12", ".python-version": "3.11"}, "3.12"),
        ({"requirements.txt": "", ".python-version": "# ours\n3.11.2\n3.9\n"}, "3.11"),
        ({"requirements.txt": "", ".python-version": "my-environment\n"}, "3.13"),
        ({"pyproject.toml": PROJECT.replace("dep", 'requires-python = ">=3.9"\ndep')}, "3.13"),
        ({"pyproject.toml": PROJECT.replace("dep", 'requires-python = ">=3.9,<3.12"\ndep')}, "3.11"),
        ({"pyproject.toml": PROJECT.replace("dep", 'requires-python = "==3.10.*"\ndep')}, "3.10"),
        ({"Pipfile": '[requires]\npython_version = "3.11"\n', "runtime.txt": "python-3.9"}, "3.11"),
        ({"Pipfile": '[requires]\npython_full_version = "3.11.4"\n'}, "3.11"),
        ({"pylock.toml": PYLOCK.replace("[[", 'requires-python = "<3.13"\n[[')}, "3.12"),
    ],
)
def test_the_python_that_is_asked_for(files: dict[str, str], version: str, tmp_path: Path) -> None:
    found = recipe(tmp_path, files)
    assert found.versions == {"python": version}
    assert ("python install" in found.dockerfile) == (version != "3.13")


def test_where_no_other_python_can_be_had_the_base_is_taken_with_a_warning(tmp_path: Path) -> None:
    files = {"requirements.txt": "six\n", "runtime.txt": "python-3.11"}
    found = recipe(tmp_path, files, managed_pythons=False)
    assert found.versions == {"python": "3.13"}
    assert "python install" not in found.dockerfile
    assert "runtime.txt asks for Python 3.11: there is 3.13 alone, which is taken" in found.warnings


@pytest.mark.parametrize("text", ["python-2.7", "python-3.x", "python", "", "3.10", "python-3.1\nr-4.1", "python-4.0"])
def test_a_runtime_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    assert "runtime.txt" in refusal(tmp_path, {"runtime.txt": text, "requirements.txt": ""})


def test_any_python_3_is_the_bases(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"runtime.txt": "python-3"}).versions == {"python": "3.13"}


def test_no_python_is_in_the_range(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"pyproject.toml": PROJECT.replace("dep", 'requires-python = ">=4"\ndep')})
    assert "pyproject.toml: no Python from 3.8 to 3.14" in said
    with pytest.raises(InvalidRepository, match="no range of versions"):
        from_range("three", "pyproject.toml", BASE)


def test_another_language_is_not_ours() -> None:
    assert parse_runtime("r-4.1-2022-01-01\n") is None


@given(st.text(max_size=40) | st.from_regex(r"python-3\.\d{1,2}(\.\d{1,3})?", fullmatch=True))
def test_whatever_runtime_txt_holds_a_plain_version_comes_out(text: str) -> None:
    try:
        version = parse_runtime(text)
    except InvalidRepository:
        return
    if version is not None:
        chosen = from_version(version, "runtime.txt", BASE).version
        assert chosen.startswith("3.")
        assert set(chosen) <= set("0123456789.")


@given(st.text(max_size=40))
def test_whatever_a_version_file_holds_it_is_a_version_or_nothing(text: str) -> None:
    version = parse_version_file(text)
    assert version is None or from_version(version, ".python-version", BASE).version.startswith("3.")


# --- what may not be asked for --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-r /etc/passwd", "out of the repository"),
        ("--requirement=/etc/passwd", "out of the repository"),
        ("-c ../../x", "out of the repository"),
        ("-r../x", "out of the repository"),
        ("-r ~/x", "out of the repository"),
        ("-r ${HOME}/x", "out of the repository"),
        ("file:///etc", "out of the repository"),
        ("thing @ file:///etc/x.whl", "out of the repository"),
        ("-e file:///etc", "out of the repository"),
        ("-e /etc", "out of the repository"),
        ("-e ../x", "out of the repository"),
        ("/etc/x.whl", "out of the repository"),
        ("thing @ ../x.whl", "out of the repository"),
        ("--find-links /etc", "out of the repository"),
        ("--index-url https://me:hunter2@x.org/simple", "holds a credential"),
        ("-i https://hunter2@x.org/simple", "holds a credential"),
        ("thing @ git+https://hunter2@x.org/a/b", "holds a credential"),
        ("thing @ https://${USER}:hunter2@x.org/a.whl", "holds a credential"),
        ("git+ssh://git:hunter2@x.org/a", "holds a credential"),
        ("--index-url http://127.0.0.1/simple", "don't get to the host 127.0.0.1"),
        ("--index-url=http://localhost:80/simple", "don't get to the host localhost"),
        ("--extra-index-url http://10.0.0.1/simple", "don't get to the host 10.0.0.1"),
        ("--extra-index-url http://[::1]/simple", "don't get to the host ::1"),
        ("--find-links http://169.254.169.254/", "don't get to the host"),
        ("-r http://2130706433/x.txt", "don't get to the host"),
        ("thing @ https://192.168.1.1/x.whl", "don't get to the host"),
        ("thing @ git+https://10.0.0.1/x", "don't get to the host"),
        ("--index-url http:/127.0.0.1/simple", "no address of the web"),
        ("--index-url http:\\\\127.0.0.1\\simple", "no address of the web"),
        ("--index-url ftp://x.org/simple", "no address of the web"),
        ("-e git+ext::sh -c id", "can't be fetched"),
        ("-e git+file:///etc", "can't be fetched"),
        ("thing @ hg+https://x.org/a", "can't be fetched"),
        ("svn+ssh://x.org/a", "can't be fetched"),
    ],
)
def test_a_line_is_refused_with_its_number_and_without_its_secret(line: str, words: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, {"requirements.txt": f"six\n\n{line}\n"})
    assert said.startswith("requirements.txt, line 3: ")
    assert words in said
    assert "hunter2" not in said


def test_lines_of_included_files_are_refused_too(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"requirements.txt": "-r more/x.txt", "more/x.txt": "six \\\n  --hash=x\n-c ../../x\n"})
    assert said.startswith("more/x.txt, line 3: ")


def test_a_host_that_the_operator_allows_is_no_reason(tmp_path: Path) -> None:
    files = {"requirements.txt": "-i http://10.0.0.1/simple\nsix\n"}
    assert recipe(tmp_path, files, registry_allowed=lambda host: host == "10.0.0.1").buildpack == "python"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"Pipfile": '[packages]\nsix = {path = "../x"}\n'}, "outside the repository"),
        ({"Pipfile": '[packages]\nsix = {git = "https://10.0.0.1/x"}\n'}, "Pipfile, six: builds don't get"),
        ({"Pipfile": '[packages]\nsix = {git = "ext::sh -c id"}\n'}, "Pipfile, six"),
        ({"Pipfile": '[packages]\nsix = {file = "https://a:hunter2@x.org/x.whl"}\n'}, "Pipfile, six"),
        ({"Pipfile": '[packages]\nsix = ">1; os_name"\n'}, "Pipfile, six"),
        ({"Pipfile": '[packages]\n"six --pre" = "*"\n'}, "Pipfile names a package that can't be one"),
        ({"Pipfile": '[packages]\nsix = "*\\n--index-url=http://x"\n'}, "Pipfile, six"),
        ({"Pipfile": '[[source]]\nurl = "https://a:hunter2@x.org/simple"\n'}, "holds a credential"),
        ({"Pipfile": '[[source]]\nurl = "https://$TOKEN.x.org/simple"\n'}, "no plain address"),
        ({"Pipfile": '[requires]\npython_version = "2.7"\n'}, "Pipfile: Python 2"),
        ({"Pipfile": "[packages\n"}, "Pipfile is not valid TOML"),
        ({"Pipfile.lock": "{"}, "Pipfile.lock is not valid JSON"),
        ({"Pipfile.lock": "[" * 100_000}, "Pipfile.lock is not valid JSON"),
        ({"Pipfile.lock": '{"default": {"six": {"version": "==1", "hashes": ["x y"]}}}'}, "Pipfile.lock, six"),
        ({"poetry.lock": "", "pyproject.toml": POETRY}, "poetry.lock lacks six"),
        ({"poetry.lock": "package = 1", "pyproject.toml": POETRY}, "lists no packages"),
        (
            {"poetry.lock": POETRY_LOCK, "pyproject.toml": '[tool.poetry.dependencies]\nsix = {path = "/etc"}\n'},
            "outside the repository",
        ),
        ({"uv.lock": UV_LOCK.replace("pypi.org", "10.0.0.1"), "pyproject.toml": PROJECT}, "uv.lock: builds don't get"),
        ({"pylock.toml": PYLOCK.replace("x.org", "localhost")}, "pylock.toml: builds don't get"),
        ({"pylock.toml": PYLOCK.replace("1.0", "2.0")}, "no lock file of version 1"),
        ({"pyproject.toml": PROJECT + '[[tool.uv.index]]\nurl = "http://localhost/simple"\n'}, "[[tool.uv.index]]"),
        ({"pyproject.toml": PROJECT + '[tool.uv.sources]\nsix = {url = "http://10.0.0.1/x"}\n'}, "[tool.uv.sources]"),
        ({"pyproject.toml": PROJECT.replace('"six"', '"six @ http://10.0.0.1/x"')}, "pyproject.toml, [project]"),
    ],
)
def test_what_a_file_may_not_ask_for_is_refused(files: dict[str, str], words: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, files)
    assert words in said
    assert "hunter2" not in said


# --- what is shared -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [".local/bin/uv", ".config/uv/uv.toml", ".local/lib/python3.13/site-packages/x.pth"])
def test_no_file_gets_to_where_programs_look_for_theirs_before_the_contents(path: str, tmp_path: Path) -> None:
    found = recipe(tmp_path, {"requirements.txt": f"six\n-r {path}\n", path: "attrs\n"}, sources=False)
    shared = [step for step in found.steps if any(each.id == "binder-wheels" for each in getattr(step, "caches", ()))]
    assert path not in str([step for step in found.steps if step.kind is Kind.DEPENDENCIES])
    assert all("UV_NO_CONFIG=1 " in step.command and "--no-build" in step.command for step in shared)


def test_a_repository_without_wheels_keeps_to_its_own_cache(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"requirements.txt": "six\n"}, sources=True)
    assert "binder-wheels" not in found.dockerfile
    assert "id=binder-uv-scope" in found.dockerfile


# --- the lines of a file --------------------------------------------------------------------------------------------


def test_lines_are_numbered_by_where_they_begin() -> None:
    text = "# first\nsix \\\n  --hash=a\n\nattrs # why\nhttps://x.org/a#egg=b\nlast \\"
    assert list(numbered_lines(text)) == [
        (2, "six   --hash=a"),
        (5, "attrs"),
        (6, "https://x.org/a#egg=b"),
        (7, "last"),
    ]


@pytest.mark.parametrize("path", [".", "..", "folder", "/"])
def test_a_directory_can_not_be_included(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "requirements.txt").write_text(f"-r {path}\n")
    with pytest.raises(InvalidRepository):
        read_requirements(Tree(tmp_path), "requirements.txt")


@given(st.text(alphabet=st.sampled_from("-rce. /\\#=:@[]~${}\nabx"), max_size=80))
def test_whatever_a_file_holds_no_included_file_is_outside(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("tree")
    (root / "requirements.txt").write_text(text)
    try:
        found = read_requirements(Tree(root), "requirements.txt")
    except InvalidRepository:
        return
    assert all(".." not in path and not path.startswith("/") for path in found.files)
