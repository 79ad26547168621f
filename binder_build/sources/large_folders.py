"""Large folders of a checkout, taken out of what else is copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from binder_plan.large_folders import LARGE_FOLDERS


def set_apart(context: Path, folders: Iterable[str]) -> None:
    """Puts the `folders` of the context where their own is. The dates of directories stay."""
    names = list(folders)
    if not names:
        return
    before = context.stat()
    place = context / LARGE_FOLDERS
    place.mkdir()
    for name in names:
        (context / name).rename(place / name)
    for each in (place, context):
        shutil.copymode(context, each)
        os.utime(each, ns=(before.st_atime_ns, before.st_mtime_ns))
