"""Every operation of the table has one client method and one raw command, and both do what the row says."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator

import pytest

from binder_client.calls import Page
from binder_client.cli import app, raw
from binder_client.client import SECTIONS, Client
from binder_protocol.operations import OPERATIONS, Operation

_HELPERS = {"wait"}


def _name(operation: Operation) -> str:
    return f"{operation.section}.{operation.name}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=_name)
def test_an_operation_has_a_method_that_returns_what_the_row_says(operation: Operation) -> None:
    section = getattr(Client("http://127.0.0.1:1"), operation.section)
    method = getattr(type(section), operation.method_name)
    module = vars(inspect.getmodule(method))
    returned = typing.get_type_hints(method, {**module, "list": list})["return"]
    if operation.many:
        assert returned == Page[operation.response]  # type: ignore[name-defined]
    elif operation.stream:
        assert returned == Iterator[operation.response]  # type: ignore[name-defined]
    else:
        assert returned is operation.response
    parameters = inspect.signature(method).parameters
    missing = set(operation.query) - set(parameters) - {"format"}
    assert not missing


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_no_method_beyond_the_table(section: str) -> None:
    kind = type(getattr(Client("http://127.0.0.1:1"), section))
    methods = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    assert methods - _HELPERS == {each.method_name for each in OPERATIONS if each.section == section}


def test_every_operation_has_one_raw_command_under_its_name() -> None:
    found = {f"{section}.{name}" for section, group in raw.commands().items() for name in group.commands}
    assert found == {_name(operation) for operation in OPERATIONS}


@pytest.mark.parametrize(
    ("command", "method", "path", "body"),
    [
        ("build start owner/repo true", "POST", "/builds", {"repository": "owner/repo", "force": True}),
        ("build start owner/repo", "POST", "/builds", {"repository": "owner/repo", "force": False}),
        ("build start --repository o/r --ref v1", "POST", "/builds", {"repository": "o/r", "ref": "v1"}),
        ("build status owner-repo", "GET", "/builds/owner-repo", None),
        ("build status-all", "GET", "/builds", None),
        ("registry fetch owner-repo", "GET", "/templates/owner-repo", None),
        ("registry fetch-all", "GET", "/templates", None),
        ("deploy deploy t 1000", "POST", "/applications", {"template-name": "t", "cull-timeout": 1000}),
        ("deploy deploy t", "POST", "/applications", {"template-name": "t"}),
        ('deploy deploy t --environment {"A":"b"}', "POST", "/applications", {"environment": {"A": "b"}}),
        ("deploy status t id", "GET", "/applications/t/id", None),
        ("deploy status-all t", "GET", "/applications/t", None),
        ("deploy status-all", "GET", "/applications", None),
        ("deploy preload t", "POST", "/preload/t", None),
        ("deploy preload-status t", "GET", "/preload/t", None),
        ("health status", "GET", "/health", None),
    ],
)
def test_the_commands_of_2016_send_what_they_sent(
    command: str,
    method: str,
    path: str,
    body: dict[str, object] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tests.support.stub import stub_server

    with stub_server() as server:
        monkeypatch.setenv("BINDER_URL", server.url)
        monkeypatch.setenv("BINDER_API_KEY", "key")
        server.on(f"{method} {path}", {"name": "as the server says"})
        app(["api", *command.split(" ")], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"name": "as the server says"}
    sent = server.seen[0].body
    assert (sent is None) == (body is None)
    assert (body or {}).items() <= (sent or {}).items()
