"""`credentials`, `build --secret`, `--lock` and `--sbom`: what is asked of the server, and what is printed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from binder_client.cli import exits, main
from tests.support import stub as wire
from tests.support.stub import Stub, stub_server

SECRET = "-----BEGIN KEY-----\nabcdef\n-----END KEY-----"
MOMENT = "2026-11-24T09:00:00.000Z"
KEPT = {"name": "licence", "kind": "value", "created": MOMENT, "changed": MOMENT}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub_server() as stub:
        yield stub


@pytest.fixture
def run(server: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("BINDER_URL", server.url)
    monkeypatch.setenv("BINDER_API_KEY", "key")
    monkeypatch.setenv("BINDER_HOME", str(tmp_path / "no-suite"))

    def ran(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["binder-client", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return ran


def test_a_secret_comes_from_stdin_with_all_its_lines(server: Stub, run: Run) -> None:
    server.on("PUT /credentials/licence", KEPT)
    code, out, err = run("credentials", "put", "licence", "--kind", "value", stdin=f"{SECRET}\n")
    assert (code, out, err) == (0, "licence is kept\n", "")
    assert server.seen[0].body == {"kind": "value", "secret": SECRET}


def test_an_index_has_an_address_and_a_user(server: Stub, run: Run) -> None:
    server.on("PUT /credentials/lab", KEPT | {"kind": "index", "url": "https://x/simple"})
    words = ("credentials", "put", "lab", "--kind", "index", "--url", "https://x/simple", "--user", "me", "--json")
    code, out, _ = run(*words, stdin="hunter2secret")
    assert code == 0
    assert json.loads(out)["url"] == "https://x/simple"
    assert server.seen[0].body["user"] == "me"


@pytest.mark.parametrize(
    "words", [["--kind", "git"], ["--kind", "value", "--host", "x"], ["--kind", "index", "--url", "https://a:b@x/"]]
)
def test_what_does_not_fit_is_refused_before_it_is_sent(server: Stub, run: Run, words: list[str]) -> None:
    code, out, err = run("credentials", "put", "licence", *words, stdin="hunter2secret\n")
    assert code == exits.USAGE
    assert "hunter2secret" not in out + err
    assert server.seen == []


def test_a_list_shows_whom_each_is_for_and_what_is_removed_is_gone(server: Stub, run: Run) -> None:
    server.on("GET /credentials", [KEPT | {"name": "forge", "kind": "git", "host": "git.example.org"}, KEPT])
    code, out, _ = run("credentials", "list")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["NAME", "KIND", "FOR", "CHANGED"]
    assert lines[1].split()[:3] == ["forge", "git", "git.example.org"]
    assert lines[2].split()[:3] == ["licence", "value", "-"]
    server.on("DELETE /credentials/licence", KEPT)
    assert run("credentials", "remove", "licence")[1] == "licence is removed\n"


def test_no_option_takes_a_secret(run: Run) -> None:
    for command in (("credentials", "put"), ("api", "build", "credential-put")):
        assert "--secret" not in run(*command, "--help")[1]


def finished(server: Stub, **more: Any) -> None:
    server.on("POST /builds", wire.build(cached=True, **more))


def test_a_build_names_its_secrets_and_prints_its_lock(server: Stub, run: Run) -> None:
    finished(server)
    server.on("GET /builds/owner-repo/lock", {"name": "owner-repo", "attempt": 1, "packages": ["a==1", "b==2"]})
    code, out, _ = run("build", "owner/repo", "--secret", "licence", "--secret", "lab", "--lock")
    assert (code, out) == (0, "a==1\nb==2\n")
    assert server.seen[0].body["options"]["secrets"] == ["licence", "lab"]


def test_a_bill_of_materials_is_printed_alone(server: Stub, run: Run) -> None:
    finished(server)
    document = {"bomFormat": "CycloneDX", "components": []}
    server.on("GET /builds/owner-repo/sbom", {"name": "owner-repo", "attempt": 1, "document": document})
    code, out, _ = run("build", "owner/repo", "--sbom")
    assert code == 0
    assert json.loads(out) == document
    assert server.seen[0].body["options"]["sbom"] is True


@pytest.mark.parametrize("words", [["--lock", "--no-follow"], ["--lock", "--sbom"], ["--sbom", "--no-follow"]])
def test_what_is_not_there_yet_is_not_printed(server: Stub, run: Run, words: list[str]) -> None:
    assert run("build", "owner/repo", *words)[0] == exits.USAGE
    assert server.seen == []
