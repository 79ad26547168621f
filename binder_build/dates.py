"""The dates of a checkout's files: that of their commit, whenever they were fetched."""

from __future__ import annotations

import os
from pathlib import Path

_LATEST = 4_102_444_800  # 2100


def bounded(seconds: int) -> int:
    """A moment (Unix seconds) that file systems and calendars know; a commit's may be any number."""
    return min(max(seconds, 0), _LATEST)


def date_files(root: Path, seconds: int) -> None:
    """Every file and directory at and below `root` was changed at `seconds`, as its image will say, too."""
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            os.utime(f"{directory}/{name}", (seconds, seconds), follow_symlinks=False)
    os.utime(root, (seconds, seconds))
