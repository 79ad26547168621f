"""package.json: which Node, which package manager, and what waits for the repository's contents."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.node import VERSIONS, choose, package_facts, read_project
from binder_plan.recipe import Kind
from binder_protocol.errors import InvalidRepository
from tests.unit.test_plan import recipe, write


@pytest.mark.parametrize(
    ("wish", "version"),
    [
        ("", 24), ("*", 24), ("22", 22), ("v22.13.1", 22), ("22.x", 22), ("^20.10.0", 20), ("~22.3", 22), (">=18", 24),
        (">=18 <23", 22), ("18 || 20", 20), ("^18 || >=22.1.0", 24), ("20 - 22", 22), ("<=22", 22), ("<22.5.0", 20),
        (">20", 24), ("<=20.9.0 || 22.x.x", 22), ("lts/*", 24), ("lts/jod", 22), ("node", 24), ("=20.1.0", 20),
        (">= 20 < 24", 22),
    ],
)  # fmt: skip
def test_the_newest_version_that_is_let_in_is_taken(wish: str, version: int) -> None:
    assert choose(wish, "x") == version


@pytest.mark.parametrize("wish", ["18", "<20", ">=25", "^26", "lts/iris", "nonsense", "22;id", "20.1.2.3", "$(id)"])
def test_a_version_that_is_not_there_is_refused_with_those_that_are(wish: str) -> None:
    with pytest.raises(InvalidRepository, match="the versions that are there are 20, 22, 24"):
        choose(wish, ".nvmrc")


@given(
    st.text(max_size=60)
    | st.from_regex(r"([<>=^~]{0,2} ?[0-9x*]{1,4}(\.[0-9x*]{1,3}){0,2} ?(\|\|)?){1,4}", fullmatch=True)
)
def test_whatever_is_asked_for_a_version_comes_out_or_a_refusal(wish: str) -> None:
    with contextlib.suppress(InvalidRepository):
        assert choose(wish, "x") in VERSIONS


def test_engines_go_before_nvmrc_and_that_before_node_version(tmp_path: Path) -> None:
    files = {"package.json": "{}", ".node-version": "20\n"}
    assert recipe(tmp_path, files).versions == {"node": "20"}
    files[".nvmrc"] = "# why\nlts/jod\n"
    assert recipe(tmp_path, files).versions == {"node": "22"}
    files["package.json"] = '{"engines": {"node": ">=22"}}'
    assert recipe(tmp_path, files).versions == {"node": "24"}


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        ({}, ("npm", None)),
        ({"package-lock.json": "{}"}, ("npm", None)),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, ("pnpm", "10.20.0")),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, ("pnpm", "8.15.9")),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, ("pnpm", "7.33.7")),
        ({"yarn.lock": "# yarn lockfile v1\n"}, ("yarn", "1.22.22")),
        ({"yarn.lock": "__metadata:\n  version: 8\n"}, ("yarn", "4.10.3")),
        ({"packageManager": "yarn@3.8.7+sha224.abc"}, ("yarn", "3.8.7")),
        ({"packageManager": "pnpm@9.1.0", "pnpm-lock.yaml": "", "package-lock.json": ""}, ("pnpm", "9.1.0")),
        ({"packageManager": "npm@11.0.0"}, ("npm", None)),
    ],
)
def test_the_lock_file_and_package_manager_decide_who_installs(
    files: dict[str, str], manager: tuple[str, str | None], tmp_path: Path
) -> None:
    facts = {"packageManager": files.pop("packageManager")} if "packageManager" in files else {}
    found = read_project(write(tmp_path, {"package.json": json.dumps(facts), **files})).manager
    assert (found.name, found.version) == manager


@pytest.mark.parametrize("wish", ["pnpm", "pnpm@latest", "bun@1.0.0", "pnpm@9.1.0;id", "yarn@https://x/y.js"])
def test_another_package_manager_is_refused(wish: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match="packageManager"):
        recipe(tmp_path, {"package.json": json.dumps({"packageManager": wish})})


@pytest.mark.parametrize(
    "facts", [{"scripts": {"prepare": "x"}}, {"workspaces": ["a"]}, {"dependencies": {"a": "file:a"}}]
)
def test_what_wants_the_repositorys_files_waits_for_them(facts: dict[str, object], tmp_path: Path) -> None:
    waiting = recipe(tmp_path, {"package.json": json.dumps(facts)})
    assert [step.kind for step in waiting.steps[-2:]] == [Kind.CONTENTS, Kind.PROJECT]
    assert recipe(tmp_path, {"package.json": "{}"}).steps[-1].kind is Kind.CONTENTS


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a": ' * 100_000])
def test_a_package_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"package\.json"):
        package_facts(text)


def test_python_files_go_first_and_package_json_is_said_to_be_ignored(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"package.json": "{}", "requirements.txt": "six\n"})
    assert found.buildpack == "python"
    assert {each.path: each.reason for each in found.ignored} == {"package.json": "the python buildpack decides"}


def test_a_registry_of_this_host_is_read_from_a_mount_and_not_named(tmp_path: Path) -> None:
    text = recipe(tmp_path, {"package.json": "{}"}, mirrors={"npm": "https://npm.example"}).dockerfile
    assert "npm.example" not in text
    assert "source=npm-registry,target=/run/binder-npm-registry" in text
