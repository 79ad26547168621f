"""devcontainer.json: JSON with comments, what of it is followed, what is refused or left aside."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.commented_json import parse
from binder_protocol.errors import InvalidRepository
from tests.unit.test_plan import recipe

AT = ".devcontainer/devcontainer.json"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_plain_json_is_what_it_is(value: object) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(f"/* {{ */ {json.dumps(value, indent=1)} // ]") == value


def test_comments_and_trailing_commas_are_passed_over() -> None:
    assert parse('{ // "a": 1\n "b": "// /* ,] \\" ", /* , */ "c": [1, 2, ], }') == {"b": '// /* ,] " ', "c": [1, 2]}


@pytest.mark.parametrize("text", ["{/*}", "[1,,2]", "[,]x", "{'a': 1}", "{a: 1}", '"\n', "[" * 100_000, "9" * 10_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize("text", ['"\\', "/*", "//", ", ", '"', "/", "[", ",\n"])
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"."):
        parse(text * (1_000_000 // len(text)))
    assert time.monotonic() - began < 5


def test_an_image_gets_the_repository_and_what_the_commands_do(tmp_path: Path) -> None:
    facts = {
        "image": "example.org/x:1",
        "containerEnv": {"A": "$B\nUSER root", "H": "${localEnv:HOME}"},
        "postCreateCommand": {"a": "pip install x\nRUN --network=host id", "b": ["touch", "a b"]},
        "forwardPorts": ["db:1", 3000],
        "features": {},
        "overrideCommand": False,
    }
    found = recipe(tmp_path, {AT: json.dumps(facts)})
    assert found.buildpack == "devcontainer"
    assert found.dockerfile.split("\n") == [
        "FROM example.org/x:1",
        "",
        "",
        "# start the application",
        'ENV A="\\$B USER root"',
        "EXPOSE 3000",
        "COPY --chown=1000:1000 . /workspaces/repository/",
        "WORKDIR /workspaces/repository",
        'RUN ["/bin/sh", "-c", "pip install x\\nRUN --network=host id"]',
        'RUN ["touch", "a b"]',
    ]
    assert found.launch.port == 3000
    assert {each.path.partition(": ")[2] for each in found.ignored} == {"features", "containerEnv.H"}


def test_a_dockerfile_is_built_from_its_own_directory_and_checked(tmp_path: Path) -> None:
    files = {AT: '{"build": {"dockerfile": "Dockerfile"}}', ".devcontainer/Dockerfile": "FROM x\nCMD y\n"}
    found = recipe(tmp_path, files)
    assert found.context == ".devcontainer"
    assert "COPY --from=binder-repository " in found.dockerfile
    above = recipe(tmp_path, files | {AT: '{"build": {"dockerfile": "Dockerfile", "context": ".."}}'})
    assert above.context == ""
    with pytest.raises(InvalidRepository, match=r"^\.devcontainer/Dockerfile, line 2: a step gets no privileges"):
        recipe(tmp_path, files | {".devcontainer/Dockerfile": "FROM x\nRUN --security=insecure id\n"})


@pytest.mark.parametrize(
    "facts",
    [
        {"image": "x y"},
        {"image": "x\nRUN id"},
        {"image": "binder/other"},
        {"image": "127.0.0.1:5000/x"},
        {"build": {"dockerfile": "../../x"}},
        {"build": {"dockerfile": "/etc/passwd"}},
        {"build": {"dockerfile": "Dockerfile", "context": "../.."}},
        {"build": {"dockerfile": "missing"}},
        {"image": "binder-base", "containerEnv": {"A B": "c"}},
        {"image": "binder-base", "containerEnv": ["a"]},
        {"image": "binder-base", "postCreateCommand": 1},
        {"image": "binder-base", "postCreateCommand": ["a", 1]},
        {"image": "binder-base", "postCreateCommand": {str(number): "x" for number in range(30)}},
        {"image": "debian"},
    ],
)
def test_what_cannot_be_followed_is_refused(facts: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository):
        recipe(tmp_path, {AT: json.dumps(facts)})


def test_one_for_an_editor_alone_decides_nothing(tmp_path: Path) -> None:
    for facts in ({"customizations": {}}, {"dockerComposeFile": "x.yml"}):
        found = recipe(tmp_path, {AT: json.dumps(facts)})
        assert found.buildpack == "bare"
        assert [each.path for each in found.ignored] == [AT]


def test_a_node_project_that_starts_goes_first(tmp_path: Path) -> None:
    files = {AT: '{"image": "binder-base"}', "package.json": '{"scripts": {"start": "x"}}'}
    assert recipe(tmp_path, files).buildpack == "node"
    assert recipe(tmp_path, files | {"package.json": "{}"}).buildpack == "devcontainer"
