"""Logs: one line per event, with the request, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from binder_protocol.service import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written(style: Literal["json", "console"] = "json", **fields: Any) -> str:
    stream = io.StringIO()
    logs.configure(service="build", style=style, secret_values=["top-secret"], stream=stream)
    structlog.get_logger().info("it happened", **fields)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key", "abc"),
        ("Authorization", "abc"),
        ("git-credential", "abc"),
        ("token", "abc"),
        ("url", "https://user:abc@host/x"),
        ("url", "https://abc@host/x"),
        ("url", "http://host/?token=abc"),
        ("url", "http://host/?a=1&api-key=abc&b=2"),
        ("path", "top-secret"),
        ("nested", {"deep": ["top-secret"]}),
    ],
)
def test_a_secret_is_not_written(field: str, value: Any) -> None:
    line = written(**{field: value})
    assert "abc" not in line
    assert "top-secret" not in line
    assert logs.HIDDEN in line


@pytest.mark.parametrize("value", ["https://host/owner/repo", "user@host", "a=b", "keyboard", "git@github.com:a/b"])
def test_what_is_no_secret_is_written(value: str) -> None:
    assert json.loads(written(monkey=value))["monkey"] == value


def test_a_line_names_the_service_and_the_request() -> None:
    logs.bind_request_id("my-id")
    line = json.loads(written())
    assert (line["service"], line["request_id"], line["event"]) == ("build", "my-id", "it happened")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_comes_from_outside_makes_no_line_of_its_own(style: Literal["json", "console"]) -> None:
    line = written(style, path='/x\n{"event": "forged"}\r\n\x1b[31mred\x9b')
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "\r" not in line


def test_other_libraries_records_take_the_same_form() -> None:
    stream = io.StringIO()
    logs.configure(service="build", secret_values=["top-secret"], stream=stream)
    logging.getLogger("some.library").warning("it has %s", "top-secret")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["level"]) == (f"it has {logs.HIDDEN}", "some.library", "warning")


def test_a_traceback_stays_in_its_line() -> None:
    stream = io.StringIO()
    logs.configure(service="build", stream=stream)
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        structlog.get_logger().exception("it failed")
    assert "on purpose" in json.loads(stream.getvalue())["exception"]


def test_a_level_below_the_threshold_is_not_written() -> None:
    stream = io.StringIO()
    logs.configure(service="build", level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    assert not stream.getvalue()
