"""How a service starts and refuses to, as its operator sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import free_port, service


def start(home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A registry that is not expected to run."""
    given = {"BINDER_HOME": str(home), "BINDER_REGISTRY_PORT": str(free_port())} | environ
    command = [sys.executable, "-m", "binder_registry"]
    return subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "binder.example"])
def test_without_a_key_nothing_but_loopback_is_served(tmp_path: Path, host: str) -> None:
    done = start(tmp_path, BINDER_HOST=host)
    assert done.returncode == 78
    assert "no API key" in done.stderr
    assert "binder-control setup" in done.stderr
    assert not (tmp_path / "registry").exists()


def test_with_a_key_every_interface_is_served(tmp_path: Path) -> None:
    with service("binder_registry", tmp_path, {"BINDER_HOST": "0.0.0.0", "BINDER_API_KEY": "sesame"}) as running:
        assert running.terminate() == 0


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = start(tmp_path, BINDER_REGISTRY_PORT=port)
    assert done.returncode == 69
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "binder.toml").write_text("[registry]\nmax-memroy = '1G'\n")
    done = start(tmp_path)
    assert done.returncode == 78
    assert done.stderr.strip().endswith("[registry] max-memroy: there is no such setting; did you mean max-memory?")


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "state.db").write_text("this is no database" * 100)
    done = start(tmp_path)
    assert done.returncode == 3
    assert "not a database" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_asked_to_stop_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with service("binder_registry", tmp_path) as running:
        running.process.send_signal(number)
        assert running.process.wait(10) == 0


def test_every_line_of_the_log_is_json_with_the_request_and_without_the_key(tmp_path: Path) -> None:
    with service("binder_registry", tmp_path, {"BINDER_API_KEY": "sesame-opens"}) as running:
        headers = {"Authorization": "Bearer sesame-opens", "X-Request-ID": "my-id"}
        request = urllib.request.Request(f"{running.url}/templates?search=sesame-opens", headers=headers)
        urllib.request.urlopen(request, timeout=5).read()
        running.terminate()
    text = (tmp_path / "binder_registry.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line.get("request_id") == "my-id"]
    assert [(line["operation"], line["status"], line["service"]) for line in mine] == [
        ("registry.fetch-all", 200, "registry")
    ]
    assert "sesame-opens" not in text
