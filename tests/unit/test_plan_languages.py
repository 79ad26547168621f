"""R, Julia and Nix: what is read from their files, and the Dockerfiles that come of it."""

from __future__ import annotations

import datetime
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.images.failures import Evidence, explain
from binder_build.images.progress import Failure
from binder_plan.buildpacks import r
from binder_plan.buildpacks.nix import needs_nothing_else
from binder_plan.buildpacks.r import FIRST_DAY, parse_runtime
from binder_plan.dcf import MAX_FIELDS, parse_dcf
from binder_plan.julia_versions import RELEASES, newest_of, of_manifest, parse_compat
from binder_plan.plan import make_recipe
from binder_plan.recipe import Base, Kind, PlanSettings, Recipe, Run
from binder_plan.tree import Tree
from binder_protocol.errors import DependencyFailed, InvalidRepository

BASE = Base("binder-base:latest", "sha256:" + "0" * 64)
EXIT = 'process "/bin/sh -c x" did not complete successfully: exit code: 1'
GOLDEN = Path(__file__).parent / "plans"

DESCRIPTION = "Package: thing\nVersion: 1.0\nImports:\n    tiny\n"
PACKAGE = 'name = "Thing"\nuuid = "7876af07-990d-54b4-ab0e-23690620f79a"\n'
SHELL = "{ pkgs ? import <nixpkgs> {} }:\npkgs.mkShell { packages = [ pkgs.hello ]; }\n"


def recipe(root: Path, files: dict[str, str], **settings: object) -> Recipe:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return make_recipe(Tree(root), BASE, PlanSettings(cache_scope="scope", **settings))  # type: ignore[arg-type]


CASES: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "r": (
        {
            "runtime.txt": "r-4.5-2025-06-30\n",
            "install.R": 'install.packages("tiny")\n',
            "DESCRIPTION": DESCRIPTION,
            "requirements.txt": "six\n",
        },
        {"sources": False, "mirrors": {"cran": "https://cran.example/snapshots"}},
    ),
    "r-sources-a-file": ({"binder/install.R": 'source("setup/all.R")\n', "setup/all.R": ""}, {}),
    "julia": (
        {"Project.toml": '[deps]\n[compat]\njulia = "~1.10"\n', "Manifest.toml": "", "requirements.txt": "six\n"},
        {"sources": False, "mirrors": {"julia": "https://julia.example"}},
    ),
    "julia-package": ({"binder/Project.toml": PACKAGE}, {"buildkit": False}),
    "nix": ({"default.nix": SHELL}, {}),
    "nix-with-files": ({"binder/default.nix": "import ./shell.nix\n", "binder/shell.nix": ""}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_dockerfile_is_the_expected_one(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files, settings = CASES[case]
    text = recipe(tmp_path, files, **settings).dockerfile
    expected = GOLDEN / f"{case}.Dockerfile"
    if request.config.getoption("--update-snapshots"):
        expected.write_text(text)
    assert text == expected.read_text()


def test_the_order_of_precedence(tmp_path: Path) -> None:
    files = [
        ("requirements.txt", "six\n", "python"),
        ("install.R", "", "r"),
        ("default.nix", SHELL, "nix"),
        ("REQUIRE", "Example\n", None),
        ("Project.toml", "", "julia"),
        ("Dockerfile", "FROM binder-base\n", "dockerfile"),
    ]
    for name, text, buildpack in files:
        (tmp_path / name).write_text(text)
        if buildpack is None:
            with pytest.raises(InvalidRepository, match=r"REQUIRE is for Julia 0\.6"):
                recipe(tmp_path, {})
        else:
            assert recipe(tmp_path, {}).buildpack == buildpack


@pytest.mark.parametrize("case", ["r", "julia"])
def test_a_cache_that_repositories_share_is_gone_before_a_package_runs(case: str, tmp_path: Path) -> None:
    files, settings = CASES[case]
    steps = [step for step in recipe(tmp_path, files, **settings).steps if isinstance(step, Run)]
    shared = [at for at, step in enumerate(steps) if any(not cache.id.endswith("scope") for cache in step.caches)]
    foreign = [at for at, step in enumerate(steps) if re.search(r"Rscript|julia -e|finish\.py", step.command)]
    assert shared
    assert max(shared) < min(foreign)


# --- R --------------------------------------------------------------------------------------------------------------


def test_what_is_chosen_for_r_is_told(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"runtime.txt": "r-3.6-2019-09-24\n"})
    assert found.versions == {"r": "4.5", "cran": "2019-09-24"}
    assert "R 3.6 is not to be had: R 4.5" in found.warnings[0]
    assert "RStudio" in found.warnings[1]
    assert "/2019-09-24" in found.dockerfile


def test_without_a_day_the_request_or_today_decides(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"install.R": ""}).versions["cran"] == "latest"
    assert recipe(tmp_path, {"install.R": ""}, as_of="2024-02-29").versions["cran"] == "2024-02-29"


def test_a_version_of_debians_r_is_no_reason_to_warn(tmp_path: Path) -> None:
    for stated in ("r-4.5-2025-06-30", "r-4.5.1-2025-06-30", "r-2025-06-30"):
        assert not any("not to be had" in each for each in recipe(tmp_path, {"runtime.txt": stated}).warnings)
    assert any("R 4 " in each for each in recipe(tmp_path, {"runtime.txt": "r-4-2025-06-30"}).warnings)


def test_a_runtime_of_python_is_none_of_r(tmp_path: Path) -> None:
    assert recipe(tmp_path, {"runtime.txt": "python-3.13", "requirements.txt": "six"}).buildpack == "python"


def test_a_description_counts_in_the_root_and_of_a_package_alone(tmp_path: Path) -> None:
    assert recipe(tmp_path / "a", {"DESCRIPTION": DESCRIPTION}).buildpack == "r"
    assert recipe(tmp_path / "b", {"DESCRIPTION": "What this is about: pictures.\nOf cats.\n"}).buildpack == "bare"
    assert recipe(tmp_path / "c", {"binder/apt.txt": "", "DESCRIPTION": DESCRIPTION}).buildpack == "bare"


def test_devtools_comes_with_those_who_name_it(tmp_path: Path) -> None:
    assert "r-cran-devtools" not in recipe(tmp_path, {"install.R": "1"}).dockerfile
    assert "r-cran-devtools" in recipe(tmp_path, {"install.R": 'devtools::install_github("a/b")'}).dockerfile


@pytest.mark.parametrize(
    "text", ["r-", "r-4.5", "r-2025-02-30", "r-4.5-2025-6-1", "r-4.5-2025-06-30; id", "r-x-2025-06-30", "r-2016-01-01"]
)
def test_a_runtime_that_can_not_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"runtime\.txt"):
        parse_runtime(text)


@given(st.dates(min_value=FIRST_DAY), st.none() | st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True))
def test_every_version_and_day_is_read(day: datetime.date, version: str | None) -> None:
    found = parse_runtime(f"r-{version}-{day}\n" if version else f"r-{day}\n")
    assert found == r.Runtime(version, day.isoformat())


@given(st.text(max_size=40) | st.text(max_size=30).map(lambda text: f"r-{text}"))
def test_whatever_runtime_txt_holds_only_plain_words_come_out(text: str) -> None:
    try:
        found = parse_runtime(text)
    except InvalidRepository:
        return
    if found is not None:
        assert re.fullmatch(r"[0-9-]{10}", found.day)
        assert found.version is None or set(found.version) <= set("0123456789.")


def test_a_description_goes_on_over_lines() -> None:
    assert parse_dcf("# c\n\nPackage: a\nDescription: one\n  two\n\tthree\nEmpty:\n\nPackage: b\n") == {
        "Package": "a",
        "Description": "one two three",
        "Empty": "",
    }


@pytest.mark.parametrize("text", ["Package: a\nno field\n", "Package: a\n: b\n", "Package: a\nTwo Words: b\n"])
def test_what_is_no_field_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(InvalidRepository, match="DESCRIPTION, line 2"):
        parse_dcf(text)


def test_a_description_of_too_many_fields_is_refused() -> None:
    with pytest.raises(InvalidRepository, match=f"line {MAX_FIELDS + 1}"):
        parse_dcf("".join(f"F{number}: x\n" for number in range(MAX_FIELDS + 1)))


FIELD_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9@/-]{0,20}", fullmatch=True)
FIELD_VALUES = st.text("abc ,()>=.", min_size=1, max_size=40).map(lambda text: " ".join(text.split()))


@given(st.dictionaries(FIELD_NAMES, FIELD_VALUES, min_size=1, max_size=8))
def test_a_written_description_is_read_as_it_was(fields: dict[str, str]) -> None:
    text = "".join(f"{name}: {value.replace(' ', chr(10) + '    ')}\n" for name, value in fields.items())
    assert parse_dcf(text) == fields


@given(st.text(max_size=200))
def test_no_description_breaks_its_reader(text: str) -> None:
    try:
        fields = parse_dcf(text)
    except InvalidRepository:
        return
    assert all(name and "\n" not in value for name, value in fields.items())


# --- Julia ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compat", "version"),
    [
        (None, "1.12.6"),
        ("1", "1.12.6"),
        ("1.6", "1.12.6"),
        ("^1.6.2", "1.12.6"),
        ("~1.10", "1.10.13"),
        ("~1.10.4", "1.10.13"),
        ("=1.9.3", "1.9.3"),
        ("1.6 - 1.8", "1.8.5"),
        ("1.6.0 - 1.8.2", "1.8.2"),
        ("< 1.7", "1.6.7"),
        ("<=1.6.3", "1.6.3"),
        ("0.7, ~1.0", "1.0.5"),
        (">= 1.0", "1.12.6"),
        ("≥1.11.0", "1.12.6"),
    ],
)
def test_the_newest_release_that_is_allowed(compat: str | None, version: str) -> None:
    assert newest_of(compat, "Project.toml") == version


@pytest.mark.parametrize("compat", ["2", "=1.9.9", "0.6", "> 1.12.6", "~0.7", "0.0.3", "1.99"])
def test_no_release_is_an_error_that_names_those_there_are(compat: str) -> None:
    with pytest.raises(InvalidRepository, match="not known here") as error:
        newest_of(compat, "Project.toml")
    assert "1.12.6, 1.11.9" in error.value.suggestions[0]


@pytest.mark.parametrize("compat", ["", "one", "1.2.3.4", "1.x", "1;2", "$(id)", "1 -2", "^", "99999999"])
def test_a_compat_entry_that_is_none_is_refused(compat: str) -> None:
    with pytest.raises(InvalidRepository, match=r"Project\.toml: the compat entry"):
        newest_of(compat, "Project.toml")


VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 15), st.integers(0, 15))


@given(VERSIONS, VERSIONS)
def test_ranges_are_as_julia_reads_them(stated: tuple[int, int, int], asked: tuple[int, int, int]) -> None:
    text = ".".join(map(str, stated))

    def allows(compat: str) -> bool:
        return any(low <= asked < high for low, high in parse_compat(compat))

    assert allows(f"={text}") == (asked == stated)
    assert allows(f"~{text}") == (asked >= stated and asked[:2] == stated[:2])
    assert allows(f">={text}") == (asked >= stated)
    assert allows(f"<{text}") == (asked < stated)
    assert allows(f"0 - {text}") == (asked <= stated)
    if stated[0]:
        assert allows(text) == allows(f"^{text}") == (asked >= stated and asked[0] == stated[0])


@given(st.text(max_size=60) | st.text("0123456789.,^~=<> -v", max_size=30))
def test_whatever_a_compat_entry_holds_a_known_release_comes_out(text: str) -> None:
    try:
        version = newest_of(text, "Project.toml")
    except InvalidRepository:
        return
    major, minor, patch = map(int, version.split("."))
    assert major == 1
    assert patch <= RELEASES[minor]


def test_a_manifest_names_the_release_that_made_it(tmp_path: Path) -> None:
    assert of_manifest("1.10.4", "Manifest.toml") == "1.10.4"
    assert of_manifest("1.12.0-DEV.7", "Manifest.toml") == "1.12.6"
    for unknown in ("1.99.0", "0.6.4", "1.10", "1.10.4; id", "x" * 500):
        with pytest.raises(InvalidRepository, match=r"Manifest\.toml asks for"):
            of_manifest(unknown, "Manifest.toml")
    files = {"Project.toml": '[compat]\njulia = "1.6"\n', "Manifest.toml": 'julia_version = "1.8.2"\n'}
    assert recipe(tmp_path, files).versions["julia"] == "1.8.2"


def test_a_julia_project_that_needs_its_sources_is_made_when_they_are_there(tmp_path: Path) -> None:
    local = 'manifest_format = "2.0"\n[[deps.Local]]\npath = "Local"\n'
    for at, files in enumerate(({"Project.toml": PACKAGE}, {"Project.toml": "", "Manifest.toml": local})):
        assert recipe(tmp_path / str(at), files).steps[-1].kind is Kind.PROJECT
    assert recipe(tmp_path / "plain", {"Project.toml": ""}).steps[-1].kind is Kind.CONTENTS


def test_broken_files_of_julia_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match=r"Project\.toml is not valid TOML"):
        recipe(tmp_path, {"Project.toml": "[["})


# --- Nix ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        (SHELL, True),
        ('import (fetchTarball "https://a/b.tar.gz") {} # with/comment\n/* a/b */', True),
        ("with import <nixpkgs/lib> {}; ''a/b '' + ''it''\\'s/''", True),
        ("import ./shell.nix", False),
        ("import ../shell.nix {}", False),
        ('src = "${./file}";', False),
        ('"a" + ./b + "c"', False),
        ('"\\"" + ./b + ""', False),
        ("readFile (dir/file)", False),
    ],
)
def test_an_expression_with_a_path_waits_for_the_repository(text: str, alone: bool) -> None:
    assert needs_nothing_else(text) is alone


@pytest.mark.parametrize("piece", ['"\\', '"', "''", "/*", "<a", "'", "\\"])
def test_no_expression_takes_long_to_look_through(piece: str) -> None:
    started = time.perf_counter()
    needs_nothing_else(piece * 200_000)
    assert time.perf_counter() - started < 5


# --- what helps against failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("Error: package \u2018x\u2019 is not available for this version of R", "snapshot of CRAN of that day"),
        ("ERROR: dependency \u2018x\u2019 is not available for package \u2018y\u2019", "snapshot of CRAN of that day"),
        ("Error in library(x) : there is no package called \u2018x\u2019", "install that R package first"),
        ("Warning: unable to access index for repository https://cran/2030-01-01/src/contrib:", "another day"),
        ("there is no julia-1.9.3-linux-x86_64.tar.gz", "another version of Julia"),
        ("julia-1.9.3-linux-x86_64.tar.gz: wrong checksum", "Julia's download server"),
        ("       at /home/jovyan/default.nix:1:15:", "correct default.nix"),
        ("error: file 'nixpkgs' was not found in the Nix search path (add it using $NIX_PATH or -I)", "pin"),
    ],
)
def test_a_failed_installation_has_a_next_step(line: str, hint: str) -> None:
    error = explain(Evidence(Failure("a step", EXIT, (line,)), kinds={"a step": Kind.DEPENDENCIES}))
    assert isinstance(error, DependencyFailed)
    assert hint in " ".join(error.suggestions)
