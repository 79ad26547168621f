"""supervisord's configuration, as text and as supervisord itself reads it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from supervisor.options import UnhosedConfigParser

from binder_control.paths import Paths
from binder_control.programs import Port, Program
from binder_control.supervisor_config import supervisor_config

ENGINE = Program("engine", ("/usr/sbin/dockerd", "--host=unix:///x"), first=True, stop_seconds=60)
BUILD = Program(
    "build",
    ("/opt/my env/bin/python", "-m", "binder_build", "100%"),
    ports=(Port("127.0.0.1", 8082, "[build] port"),),
    take_group=True,
)


def parsed(home: Path, *programs: Program) -> UnhosedConfigParser:
    parser = UnhosedConfigParser()
    parser.read_string(supervisor_config(Paths(home), programs, log_bytes=1_000, log_files=2))
    return parser


def test_a_command_comes_out_as_it_went_in(tmp_path: Path) -> None:
    parser = parsed(tmp_path, BUILD)

    command = parser.saneget("program:build", "command", do_expand=True)

    assert tuple(shlex.split(command)) == BUILD.command


def test_programs_wait_until_they_are_told_to_start(tmp_path: Path) -> None:
    parser = parsed(tmp_path, ENGINE, BUILD)

    assert [parser[f"program:{name}"]["autostart"] for name in ("engine", "build")] == ["false", "false"]


def test_a_program_that_dies_is_started_again(tmp_path: Path) -> None:
    assert parsed(tmp_path, BUILD)["program:build"]["autorestart"] == "true"


def test_the_order_of_the_table_is_that_of_starting(tmp_path: Path) -> None:
    parser = parsed(tmp_path, ENGINE, BUILD)

    priorities = [int(parser[f"program:{name}"]["priority"]) for name in ("engine", "build")]

    assert priorities == sorted(set(priorities))


def test_only_killing_takes_a_services_children_and_nothing_takes_an_engines(tmp_path: Path) -> None:
    parser = parsed(tmp_path, ENGINE, BUILD)

    assert parser["program:build"]["stopasgroup"] == "false"
    assert parser["program:build"]["killasgroup"] == "true"
    assert parser["program:engine"]["killasgroup"] == "false"


def test_each_program_has_a_log_that_is_rotated(tmp_path: Path) -> None:
    section = parsed(tmp_path, BUILD)["program:build"]

    assert section["stdout_logfile"] == str(tmp_path / "logs" / "build.log")
    assert (section["stdout_logfile_maxbytes"], section["stdout_logfile_backups"]) == ("1000", "2")
    assert section["redirect_stderr"] == "true"


def test_only_its_owner_reaches_the_socket(tmp_path: Path) -> None:
    assert parsed(tmp_path)["unix_http_server"]["chmod"] == "0600"


@pytest.mark.parametrize("word", ["a\nb", "a ;b"])
def test_what_supervisord_would_misread_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match="can't be told"):
        parsed(tmp_path / word, BUILD)


def test_a_long_home_keeps_its_socket_where_the_kernel_takes_it(tmp_path: Path) -> None:
    long, other = (Paths(tmp_path / (letter * 120)) for letter in "ab")

    assert len(str(long.socket)) < 100
    assert long.socket != other.socket
