"""Files with secrets: who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def too_open(file: Path) -> bool:
    """Whether others than its owner can read it. One of root's may be read by a group, too: so clusters mount Secrets.

    Raises OSError.
    """
    found = file.stat()
    others = 0o037 if found.st_uid == 0 != os.geteuid() else 0o077
    return bool(stat.S_IMODE(found.st_mode) & others)
