"""Who may read a file with secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from binder_build.secrets.files import too_open


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_text("s3cret")
    return made


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_of_ones_own_is_ones_own_alone(file: Path, mode: int, open_to_others: bool) -> None:
    file.chmod(mode)
    assert too_open(file) is open_to_others


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o440, False), (0o640, False), (0o660, True), (0o444, True)])
def test_a_secret_that_a_cluster_mounts_is_roots_and_a_groups(
    file: Path, monkeypatch: pytest.MonkeyPatch, mode: int, open_to_others: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a file of root's needs root")
    file.chmod(mode)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert too_open(file) is open_to_others
