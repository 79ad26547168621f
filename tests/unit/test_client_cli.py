"""The command line, in a pipe: what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from binder_client.cli import exits, main
from binder_client.config import Server, load, save
from binder_protocol import errors
from tests.support import stub as wire
from tests.support.stub import Reply, Stub, event, failing, log_line, stub_server

Run = Callable[..., "Ran"]


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub_server() as stub:
        yield stub


@pytest.fixture
def run(server: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("BINDER_URL", server.url)
    monkeypatch.setenv("BINDER_API_KEY", "key")
    monkeypatch.setenv("BINDER_HOME", str(tmp_path / "no-suite"))
    monkeypatch.setattr("binder_client.config.default_path", lambda: tmp_path / "config" / "client.toml")

    def ran(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["binder-client", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return ran


def _a_build(server: Stub, **fields: Any) -> None:
    """A build that takes its time, with a hostile log."""
    running = wire.build(status="running", phase="fetching")
    server.on("POST /builds", running)
    server.on("GET /builds/owner-repo", wire.build(**fields))
    log = [
        event(1, log_line(1, kind="phase", phase="building")),
        event(2, log_line(2, kind="step", step="RUN pip", status="started")),
        event(3, log_line(3, "\x1b]0;owned\x07Collecting\x1b[2J numpy", step="RUN pip")),
        event(4, log_line(4, kind="step", step="RUN pip", status="done", seconds=1.25)),
        event(5, log_line(5, kind="step", step="COPY .", status="cached")),
        event(6, log_line(6, kind="end", status="completed"), "end"),
    ]
    server.on("GET /builds/owner-repo/logs", Reply(chunks=log))


def test_a_build_shows_its_log_on_stderr_and_its_result_on_stdout(server: Stub, run: Run) -> None:
    _a_build(server)
    ran = run("build", "owner/repo", "--ref", "v1", "--submodules")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "== building",
        "-> RUN pip",
        "   Collecting numpy",
        "done: RUN pip (1.2 s)",
        "cached: COPY .",
    ]
    assert "owner/repo at aaaaaaaaaaaa built in 7.5 s" in ran.out
    assert f"sha256:{'b' * 64}" in ran.out
    assert server.seen[0].body["ref"] == "v1"
    assert server.seen[0].body["options"]["submodules"] is True


def test_json_is_all_that_stdout_gets(server: Stub, run: Run) -> None:
    _a_build(server)
    ran = run("build", "owner/repo", "--json", "--quiet")
    assert json.loads(ran.out) == wire.build() | {"attempt": 1, "cached": False, "timings": []}
    assert ran.err == ""


def test_a_commit_built_before_is_there_at_once(server: Stub, run: Run) -> None:
    server.on("POST /builds", wire.build(cached=True))
    ran = run("build", "owner/repo")
    assert "was built before" in ran.out
    assert len(server.seen) == 1


def test_a_build_need_not_be_followed(server: Stub, run: Run) -> None:
    server.on("POST /builds", wire.build(status="queued", phase="queued", position=3))
    ran = run("build", "owner/repo", "--no-follow")
    assert ran.code == 0
    assert "owner-repo is queued, 3 in the queue" in ran.out
    assert "binder-client logs owner-repo --follow" in ran.out


def test_a_failed_build_tells_step_last_lines_and_a_fix(server: Stub, run: Run) -> None:
    failure = {
        "type": "dependency-failed",
        "message": "pip found no numpi",
        "step": "RUN pip",
        "log": ["ERROR: \x1b[31mno numpi"],
        "suggestions": ["correct its name"],
    }
    _a_build(server, status="failed", failure=failure)
    ran = run("build", "owner/repo", "--quiet")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "  | ERROR: no numpi",
        "  in step: RUN pip",
        "Error: pip found no numpi",
        "- Possible fix: correct its name",
    ]
    assert ran.out == ""


def test_a_deployment_waits_and_prints_the_location_alone(server: Stub, run: Run) -> None:
    server.on("POST /applications", wire.application(status="pending", location=None))
    path = "GET /applications/owner-repo/k3v9"
    server.on(path, wire.application(status="deploying", location=None), wire.application())
    ran = run(
        "deploy", "owner-repo", "--cull-timeout", "30m", "--env", "A=b", "--env", "BINDER_API_KEY", "--memory", "1G"
    )
    assert ran.code == 0
    assert ran.out == "http://127.0.0.1:8080/user/k3v9/?token=t\n"
    assert "deploying" in ran.err
    body = server.seen[0].body
    assert body["cull-timeout"] == 1_800_000
    assert body["environment"] == {"A": "b", "BINDER_API_KEY": "key"}
    assert body["resources"] == {"memory": "1G"}


def test_an_application_is_opened_when_asked(server: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    server.on("POST /applications", wire.application(), wire.application(location="file:///etc/passwd"))
    run("deploy", "owner-repo", "--open")
    run("deploy", "owner-repo", "--open")
    assert opened == ["http://127.0.0.1:8080/user/k3v9/?token=t"]


def test_a_launch_builds_and_deploys(server: Stub, run: Run) -> None:
    _a_build(server, template="other-name")
    server.on("POST /applications", wire.application())
    ran = run("launch", "owner/repo", "--quiet")
    assert ran.out == "http://127.0.0.1:8080/user/k3v9/?token=t\n"
    assert server.seen[-1].body["template-name"] == "other-name"


def test_a_failed_launch_tells_its_reason(server: Stub, run: Run) -> None:
    server.on("POST /applications", wire.application(status="pending", location=None))
    failure = {"type": "crashed", "message": "it ended with 3", "log": ["Traceback"]}
    server.on("GET /applications/owner-repo/k3v9", wire.application(status="failed", failure=failure))
    ran = run("deploy", "owner-repo", "--quiet")
    assert ran.code == 1
    assert ran.err.splitlines()[:2] == ["  | Traceback", "Error: it ended with 3"]


def test_running_applications_are_listed(server: Stub, run: Run) -> None:
    server.on("GET /applications", [wire.application(), wire.application("dead", status="deleted")])
    ran = run("fetch")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["APPLICATION", "owner-repo/k3v9"]
    assert [each["id"] for each in json.loads(run("fetch", "--all", "--json").out)] == ["k3v9", "dead"]


def test_logs_are_printed_and_followed(server: Stub, run: Run) -> None:
    _a_build(server)
    ran = run("logs", "owner-repo", "--follow", "--attempt", "2")
    assert ran.out.splitlines()[2:5] == ["   Collecting numpy", "done: RUN pip (1.2 s)", "cached: COPY ."]
    assert server.seen[0].query == {"attempt": "2", "follow": "true"}
    server.on("GET /applications/t/id/logs", Reply(json.dumps({"id": 1, "text": "hello"}).encode() + b"\n"))
    assert run("logs", "--application", "t/id").out == "hello\n"
    assert json.loads(run("logs", "--application", "t/id", "--json").out) == {"id": 1, "text": "hello"}
    assert run("logs").code == 2
    assert run("logs", "a", "--application", "t/id").code == 2


def test_stop_extend_cancel_and_templates(server: Stub, run: Run) -> None:
    server.on("DELETE /applications/t/id", wire.application(status="deleted", location=None))
    server.on("POST /applications/t/id/extend", wire.application(**{"cull-time": "2026-11-23T15:04:05Z"}))
    server.on("DELETE /builds/owner-repo", wire.build(status="cancelled"))
    server.on("GET /templates", [wire.template()])
    assert run("stop", "t/id").out == "t/id is deleted\n"
    assert run("extend", "t/id", "2h").out == "t/id stays until 2026-11-23 15:04 UTC\n"
    assert server.seen[-1].body == {"milliseconds": 7_200_000}
    assert run("cancel", "owner-repo").out == "owner-repo is cancelled\n"
    assert run("templates", "own").out.splitlines()[1].startswith("owner-repo  1")
    assert server.seen[-1].query == {"search": "own"}


def test_a_plan_is_shown(server: Stub, run: Run) -> None:
    planned = {
        "name": "owner-repo",
        "repository": "r",
        "buildpack": "python",
        "reason": "requirements.txt",
        "files": ["requirements.txt"],
        "dockerfile": "FROM base\nRUN \x1b[2Jtrue\n",
        "port": 8888,
        "ignored": [{"path": "Pipfile", "reason": "requirements.txt comes first"}],
    }
    server.on("POST /plans", planned)
    assert "ignored      Pipfile: requirements.txt comes first" in run("plan", "owner/repo").out
    assert run("plan", "owner/repo", "--dockerfile").out == "FROM base\nRUN true\n"


def test_a_plan_says_what_a_build_would_find(server: Stub, run: Run) -> None:
    planned = {
        "name": "owner-repo",
        "repository": "r",
        "commit": "a" * 40,
        "buildpack": "python",
        "reason": "requirements.txt",
        "files": ["requirements.txt"],
        "dockerfile": "FROM base\n",
        "environment": "e" * 32,
        "environment-ready": True,
        "built": True,
        "versions": {"python": "3.13"},
        "port": 8888,
        "command": ["serve", "--now"],
        "health-path": "/ready",
        "warnings": ["look out"],
    }
    fresh = {**planned, "built": False, "environment-ready": False}
    server.on("POST /plans", planned, fresh)
    assert run("plan", "owner/repo", "--as-of", "2026-02-03").out.splitlines() == [
        "name         owner-repo",
        f"commit       {'a' * 40}, built before: a build is answered at once",
        "buildpack    python: requirements.txt",
        "files        requirements.txt",
        "python       3.13",
        f"environment  {'e' * 32} is there already: nothing is installed",
        "command      serve --now",
        "port         8888",
        "health       /ready",
        "warning      look out",
        "",
        "FROM base",
    ]
    assert server.seen[-1].body["options"]["as-of"] == "2026-02-03"
    lines = run("plan", "owner/repo").out.splitlines()
    assert f"commit       {'a' * 40}" in lines
    assert f"environment  {'e' * 32} has to be made" in lines


def test_health_that_is_down_shows_in_the_exit_code(server: Stub, run: Run) -> None:
    check = {"name": "build", "status": "running", "timestamp": wire.NOW}
    server.on("GET /health", [check], [check, {**check, "name": "deploy", "status": "down", "message": "no engine"}])
    assert run("health").code == 0
    ran = run("health")
    assert ran.code == 6
    assert "no engine" in ran.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RequestError("r"), 2),
        (errors.BadRepoSource("r"), 2),
        (errors.DoesNotExist("d"), 3),
        (errors.AccessError("a"), 4),
        (errors.Conflict("c"), 1),
        (errors.QueueFull("q"), 6),
        (errors.EngineError("e"), 6),
        (errors.RefNotFound("r"), 1),
        (errors.BinderError("b"), 6),
    ],
)
def test_an_error_of_the_server_has_its_exit_code(server: Stub, run: Run, error: errors.BinderError, code: int) -> None:
    server.on("POST /builds", failing(error))
    ran = run("build", "owner/repo")
    assert ran.code == code
    assert f"Error: {error.message}" in ran.err
    assert ran.out == ""


def test_errors_are_json_when_asked(server: Stub, run: Run) -> None:
    server.on("POST /builds", failing(errors.QueueFull("full")))
    assert json.loads(run("build", "owner/repo", "--json").err)["type"] == "queue-full"


@pytest.mark.parametrize(
    "arguments",
    [
        ["build"],
        ["nonsense"],
        ["stop", "no-slash"],
        ["extend", "t/id", "soon"],
        ["--url", "ftp://h", "fetch"],
        ["--profile", "none", "fetch"],
        ["deploy", "t", "--env", "NOT_SET_ANYWHERE"],
        ["deploy", "t", "--memory", "much"],
        ["api", "build", "start"],
        ["api", "deploy", "deploy", "t", "soon"],
    ],
)
def test_a_wrong_command_has_exit_code_2_and_sends_nothing(server: Stub, run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.err
    assert not server.seen


def test_an_unreachable_server_has_exit_code_5(run: Run) -> None:
    ran = run("--url", "http://127.0.0.1:1", "fetch")
    assert ran.code == 5
    assert "stamina" not in ran.err + ran.out


def test_login_checks_the_key_and_keeps_it(server: Stub, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "config" / "client.toml"
    server.on("GET /builds", failing(errors.AccessError("wrong key")), Reply([]))
    assert run("login", server.url, "--key-stdin", stdin="wrong\n").code == 4
    assert not file.exists()
    ran = run("--profile", "lab", "login", server.url, "--key-stdin", stdin="secret-key\n")
    assert ran.code == 0
    assert load(file) == {"lab": Server(server.url, "secret-key")}
    assert server.seen[-1].headers["authorization"] == "Bearer secret-key"
    assert "secret-key" not in ran.out + ran.err


def test_login_without_a_terminal_says_how_to_pass_the_key(run: Run, server: Stub) -> None:
    ran = run("login", server.url)
    assert ran.code == 2
    assert "--key-stdin" in ran.err


def test_a_file_that_others_can_read_is_a_wrong_configuration(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "config" / "client.toml"
    save(file, "default", Server("http://127.0.0.1:1", "secret-key"))
    file.chmod(0o644)
    ran = run("--profile", "default", "fetch")
    assert ran.code == 2
    assert "chmod 600" in ran.err
    assert "secret-key" not in ran.err


def test_a_credential_comes_from_stdin_and_shows_nowhere(server: Stub, run: Run) -> None:
    server.on("POST /builds", wire.build())
    ran = run("build", "owner/repo", "--credential-stdin", stdin="s3cret\n")
    assert server.seen[0].body["credential"] == "s3cret"
    assert "s3cret" not in ran.out + ran.err


def test_a_raw_command_takes_its_request_from_a_file(server: Stub, run: Run, tmp_path: Path) -> None:
    body = tmp_path / "template.json"
    body.write_text(json.dumps({"name": "owner-repo", "image": "busybox"}))
    server.on("PUT /templates", wire.template())
    ran = run("api", "registry", "register", "--body", str(body), "--port", "8080", "--command", '["sh"]')
    assert json.loads(ran.out)["name"] == "owner-repo"
    sent = server.seen[0].body
    assert (sent["image"], sent["port"], sent["command"]) == ("busybox", 8080, ["sh"])


@pytest.mark.parametrize(
    "arguments",
    [[], ["build"], ["deploy"], ["launch"], ["logs"], ["login"], ["api"], ["api", "build"], ["api", "build", "start"]],
)
def test_help_teaches(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments, "--help")
    assert ran.code == 0
    assert "Usage: binder-client" in ran.out
    if arguments and arguments[0] != "api":
        assert f"  binder-client {arguments[0]}" in ran.out or f" {arguments[0]} " in ran.out
        assert "Example" in ran.out


def test_the_root_help_explains_the_exit_codes(run: Run) -> None:
    assert "130  interrupted" in run("--help").out
    assert run("--version").out.startswith("binder-client ")


def test_help_and_documentation_explain_every_exit_code() -> None:
    codes = {str(value) for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    documented = re.findall(r"^\| (\d+) \|", (Path(__file__).parents[2] / "docs/client.md").read_text(), re.MULTILINE)
    assert set(documented) == codes == set(re.findall(r"^  (\d+) ", exits.EXPLAINED, re.MULTILINE))
