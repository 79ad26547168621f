"""Route files: one for each application, whole at any moment, and only what is wanted."""

from __future__ import annotations

import time
from pathlib import Path

from binder_deploy.route_files import RouteFiles


def _present(directory: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in directory.iterdir()}


def test_a_route_is_there_until_it_is_removed(tmp_path: Path) -> None:
    files = RouteFiles(tmp_path / "routes")
    files.put("a", "1")
    files.put("a", "2")
    assert _present(tmp_path / "routes") == {"binder-a.yml": "2"}
    files.remove("a")
    files.remove("a")
    assert _present(tmp_path / "routes") == {}


def test_what_an_earlier_process_left_is_mended_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "suite.yml").write_text("suite")
    for name in ("old", "moved"):
        RouteFiles(tmp_path).put(name, "before")
    RouteFiles(tmp_path).keep({"moved": "after", "lost": "back"}, seen=time.monotonic())
    assert _present(tmp_path) == {"suite.yml": "suite", "binder-moved.yml": "after", "binder-lost.yml": "back"}


def test_a_route_made_since_the_engine_was_asked_stays(tmp_path: Path) -> None:
    files = RouteFiles(tmp_path)
    seen = time.monotonic()
    files.put("new", "1")
    files.put("restarted", "new address")
    files.keep({"restarted": "old address"}, seen=seen)
    assert _present(tmp_path) == {"binder-new.yml": "1", "binder-restarted.yml": "new address"}
    files.keep({}, seen=time.monotonic())
    assert _present(tmp_path) == {}
