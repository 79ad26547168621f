"""A headless Chromium, as it comes from the distribution."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def page_of(url: str, profile: Path, *, settle: float = 10) -> str:
    """The page at `url` as the browser has it after `settle` seconds of its own time: scripts have run."""
    named = os.environ.get("BINDER_TEST_BROWSER")
    program = named or next(filter(None, map(shutil.which, _NAMES)))
    command = [
        program,
        *_QUIET,
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={round(settle * 1000)}",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
