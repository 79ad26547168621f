"""binder.toml and the Procfile: what they may hold, which of them wins, and where an operator's ceilings are."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.templates import merged
from binder_plan.binder_toml import parse_binder_toml
from binder_plan.procfile import parse_procfile, shell_command
from binder_plan.recipe import Launch
from binder_protocol.errors import InvalidRepository
from binder_protocol.models import Limits
from tests.unit.test_plan import recipe

NODE = '{"scripts": {"start": "node ."}}'


def test_a_procfile_has_types_comments_and_commands() -> None:
    text = "# processes\n\nweb: gunicorn app:app --bind 0.0.0.0:$PORT\r\nworker:python work.py\n"
    assert parse_procfile(text) == {"web": "gunicorn app:app --bind 0.0.0.0:$PORT", "worker": "python work.py"}


@pytest.mark.parametrize("line", ["web", "web:", ": x", "we b: x", "web: x\nweb: y", "web: " + "x" * 9_000])
def test_a_line_that_is_no_process_is_named(line: str) -> None:
    with pytest.raises(InvalidRepository, match=r"Procfile, line \d: "):
        parse_procfile(line)


@given(st.text(max_size=80))
def test_whatever_a_procfile_holds_its_commands_are_lines_of_it(text: str) -> None:
    try:
        found = parse_procfile(text)
    except InvalidRepository:
        return
    for name, command in found.items():
        assert name.isascii()
        assert command == command.strip()
        assert command in text


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_-]{1,9}", fullmatch=True), st.from_regex(r"[!-~][ -~]{0,20}[!-~]", fullmatch=True)
    )
)
def test_a_procfile_says_what_was_written(processes: dict[str, str]) -> None:
    assert parse_procfile("".join(f"{name}:  {command} \n" for name, command in processes.items())) == processes


def test_a_program_takes_the_shells_place_where_it_can() -> None:
    assert shell_command("python -m x --port $PORT") == ("bash", "-c", "exec python -m x --port $PORT")
    for line in ("cd x && python y", "A=b python y", "python x | tee y", "export A=b; x"):
        assert shell_command(line) == ("bash", "-c", line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "no entry prot"),
        ("healthpath = '/'", "no entry healthpath"),
        ("port = 0", "port: "),
        ("port = '80'", "port: "),
        ("port = true", "port: "),
        ("command = []", "command: "),
        ("command = ''", "command: "),
        ("command = ['{base_path}']", r"did you mean \{base-path\}"),
        ("health-path = 'x'", "health-path: "),
        ("memory = 'much'", "memory: an amount"),
        ("cpu = 0", "cpu: an amount"),
        ("strip-prefix = 1", "strip-prefix: "),
        ("[environment]\nPORT = '1'", "PORT is set by Binder"),
        ("[environment]\n'A B' = '1'", "environment: "),
        ("[environment]\nA = 1", "environment: "),
        ("port = ", "not valid TOML"),
        ("a = " + "[" * 5_000, "not valid TOML"),
    ],
)
def test_what_binder_toml_may_not_hold_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidRepository, match=said) as caught:
        parse_binder_toml(text)
    assert caught.value.suggestions


def test_the_nearest_entry_is_told() -> None:
    with pytest.raises(InvalidRepository) as caught:
        parse_binder_toml("helth_path = '/'")
    assert caught.value.suggestions == ("did you mean health-path?",)


@given(st.text(max_size=80))
def test_whatever_binder_toml_holds_it_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRepository):
        assert parse_binder_toml(text).port is None


def test_binder_toml_wins_over_the_procfile_and_that_over_the_buildpack(tmp_path: Path) -> None:
    files = {"package.json": NODE}
    assert recipe(tmp_path, files).launch.command == ("npm", "start")
    files["Procfile"] = "web: node server.js\nworker: node work.js\n"
    with_procfile = recipe(tmp_path, files)
    assert with_procfile.launch.command == ("bash", "-c", "exec node server.js")
    assert with_procfile.launch.strip_prefix
    assert "Procfile: worker" in {each.path for each in with_procfile.ignored}
    files["binder.toml"] = 'command = ["node", "{base-path}"]\nport = 9000\n'
    found = recipe(tmp_path, files)
    assert found.launch == Launch(
        command=("node", "{base-path}"), port=9000, environment={"PORT": "9000", "NODE_ENV": "production"}
    )
    assert "Procfile" in {each.path for each in found.ignored}
    assert found.files == ("package.json", "binder.toml")


def test_who_knows_its_base_path_keeps_it(tmp_path: Path) -> None:
    for command, strip in (("python x", True), ("x --base $BINDER_BASE_PATH", False), ("jupyter lab", False)):
        assert recipe(tmp_path, {"Procfile": f"web: {command}\n"}).launch.strip_prefix is strip
    stated = recipe(tmp_path, {"Procfile": "web: python x\n", "binder.toml": "strip-prefix = false\n"})
    assert not stated.launch.strip_prefix


def test_a_procfile_without_web_starts_nothing(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"Procfile": "worker: x\n"})
    assert found.launch.command is None
    assert found.warnings[0] == "Procfile has no web process"


def test_an_operators_ceiling_wins_and_says_so(tmp_path: Path) -> None:
    files = {"binder.toml": 'memory = "8Gi"\ncpu = 0.5\n'}
    found = recipe(tmp_path, files, max_memory="1G", max_cpu="2")
    assert (found.launch.memory, found.launch.cpu) == ("1G", "0.5")
    assert found.warnings == ("binder.toml asks for memory 8Gi; this service grants 1G at most",)


def test_a_dockerfile_gets_what_binder_toml_says_and_no_procfile_where_it_starts_something(tmp_path: Path) -> None:
    files = {"Dockerfile": 'FROM x\nCMD ["y"]', "Procfile": "web: z\n", "binder.toml": "port = 9000\n"}
    found = recipe(tmp_path, files)
    assert found.dockerfile == 'FROM x\nCMD ["y"]\n\n# start the application\nEXPOSE 9000'
    assert (found.launch.port, found.launch.command) == (9000, ("y",))
    assert "Procfile" in {each.path for each in found.ignored}
    silent = recipe(tmp_path, files | {"Dockerfile": "FROM x\n", "binder.toml": ""})
    assert silent.dockerfile.endswith('ENV PORT="8888"\nCMD ["bash", "-c", "exec z"]')


def test_a_limit_that_an_operator_changed_stays_and_any_other_follows_the_repository() -> None:
    built = Limits(memory="1G", cpu="1")
    wish = Limits(memory="2G", cpu="2")
    assert merged(wish, built, built) == wish
    assert merged(wish, Limits(memory="4G", cpu="1"), built) == Limits(memory="4G", cpu="2")
    assert merged(wish, Limits(memory="1G", pids=9), None) == Limits(memory="1G", cpu="2", pids=9)
    assert merged(Limits(), built, built) == Limits()


def test_a_plan_shows_all_of_the_launch(tmp_path: Path) -> None:
    files = {"Procfile": "web: python x\n", "binder.toml": 'memory = "1G"\nhealth-path = "/up"\n'}
    plan = recipe(tmp_path, files).plan(name="o-r", repository="https://github.com/o/r")
    assert (plan.port, plan.health_path, plan.command) == (8888, "/up", ["bash", "-c", "exec python x"])
    assert plan.details["launch"] == {"strip-prefix": True, "environment": {"PORT": "8888"}, "memory": "1G"}
