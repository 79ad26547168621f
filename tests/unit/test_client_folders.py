"""`binder-client plan FOLDER`: made on this machine, without a server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from binder_client.cli import main
from binder_client.folders import folder_of, plan_folder
from binder_protocol.errors import InvalidRepository, RequestError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "My Folder"
    (place / "sub").mkdir(parents=True)
    (place / "requirements.txt").write_text("six\n")
    (place / "apt.txt").write_text("tree\n")
    (place / "package.json").write_text("{}")
    return place


def plan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code and output, with a server that can't be reached and an engine that isn't there."""
    monkeypatch.setenv("BINDER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["binder-client", "plan", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_folder_is_planned_without_a_server(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name in (".", "./", str(folder), "../My Folder"):
        code, out, err = plan(capsys, monkeypatch, name)
        assert (code, err) == (0, "")
        assert out.startswith(f"folder       {folder}, as it is now, committed or not\nbuildpack    python: ")
        assert "files        requirements.txt, apt.txt\n" in out
        assert "ignored      package.json: " in out
        assert "\nFROM binder-base:latest" in out
    code, out, _ = plan(capsys, monkeypatch, "sub")
    assert "buildpack    bare: " in out


def test_what_only_a_server_knows_is_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = plan(capsys, monkeypatch, str(folder), "--json")
    found = json.loads(out)
    assert (found["name"], found["labels"]) == ("my-folder", {"org.binder.buildpack": "python"})
    assert not found.keys() & {"base", "environment", "environment-ready", "built", "commit"}


def test_the_dockerfile_alone_is_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = plan(capsys, monkeypatch, str(folder), "--dockerfile")
    assert out == plan_folder(folder).dockerfile


def test_subdirectory_and_day_count(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = plan(capsys, monkeypatch, str(folder), "--as-of", "2026-02-03")
    assert "2026-02-03" in out
    _, out, _ = plan(capsys, monkeypatch, str(folder), "--subdir", "sub")
    assert "buildpack    bare: " in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["./nowhere"], 2, "there is no folder ./nowhere"),
        (["/nowhere/at/all"], 2, "there is no folder"),
        (["{folder}", "--ref", "main"], 2, "a folder is planned as it is"),
        (["{folder}", "--subdir", "nowhere"], 1, "no directory nowhere"),
        (["{folder}", "--as-of", "yesterday"], 2, "--as-of"),
    ],
)
def test_what_cannot_be_planned_says_so(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    ended, _, err = plan(capsys, monkeypatch, *(each.format(folder=folder) for each in arguments))
    assert ended == code
    assert words in err


def test_the_files_are_named_that_cannot_be_used(folder: Path) -> None:
    (folder / "apt.txt").write_text("tree\n--help\n")
    with pytest.raises(InvalidRepository, match=r"apt\.txt, line 2"):
        plan_folder(folder)


def test_a_file_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InvalidRepository, match=r"requirements\.txt can't be read: Permission denied"):
        plan_folder(folder)


def test_addresses_are_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("owner/repo", "https://example.org/a/b", "git@example.org:a/b", "a\0b", "x" * 5000, "~x~/y"):
        if address.startswith("~"):
            with pytest.raises(RequestError):
                folder_of(address)
        else:
            assert folder_of(address) is None
    (tmp_path / "owner/repo").mkdir(parents=True)
    assert folder_of("owner/repo") == Path("owner/repo")


def test_what_git_keeps_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".git/objects").mkdir(parents=True)
    (tmp_path / "index.ipynb").write_text("{}")
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place=".": (listed.append(str(place)), scandir(place))[1])
    assert plan_folder(tmp_path).buildpack == "bare"
    assert not [place for place in listed if ".git" in place]
