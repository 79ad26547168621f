"""scripts/run on a machine that has git, Python and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(os.geteuid() != 0, reason="root: makes a root file system and a privileged container"),
]


def test_scripts_run_ends_with_an_address_that_answers() -> None:
    """The other distributions take as long each: scripts/fresh-machine debian-13, or ubuntu-24.04, by hand."""
    done = subprocess.run(
        ["scripts/fresh-machine", "debian-12"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1_100,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-3_000:], done.stderr[-5_000:])
    assert done.stdout.count("answers 200") == 2
