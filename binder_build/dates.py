"""The dates of a checkout's files: that of their commit, whenever they were fetched."""

from __future__ import annotations

import os
from pathlib import Path


def date_files(root: Path, seconds: int) -> None:
    """Every file and directory at and below `root` was changed at `seconds` (Unix), as its image will say, too."""
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            os.utime(f"{directory}/{name}", (seconds, seconds), follow_symlinks=False)
    os.utime(root, (seconds, seconds))
