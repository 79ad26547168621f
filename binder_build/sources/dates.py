"""The dates of a checkout's files: that of their commit, whenever they were fetched.

Builders are sent the files whose size or date isn't that of the file they got before at the same path. So a date says
in its nanoseconds, which no layer keeps, what the file holds; and very many files have one date a month, lest all of
them are sent again for each commit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_LATEST = 4_102_444_800  # 2100
_MANY = 1_000
_NANOSECONDS = 1_000_000_000


def bounded(seconds: int) -> int:
    """A moment (Unix seconds) that file systems and calendars know; a commit's may be any number."""
    return min(max(seconds, 0), _LATEST)


def common_date(seconds: int, files: int) -> int:
    """The date of all `files` of a commit of that moment: for very many the beginning of its month."""
    if files < _MANY:
        return seconds
    month = datetime.fromtimestamp(seconds, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(month.timestamp())


def date_files(root: Path, seconds: int, contents: Mapping[str, bytes], key: bytes) -> None:
    """Every file and directory at and below `root` was changed at `seconds`, as its image will say, too.

    `contents` says by a file's path what it holds. Who doesn't know `key` can't make two files of one date.
    """
    skipped = len(os.path.join(root, ""))  # noqa: PTH118
    for directory, names, files in os.walk(root, topdown=False):
        for name in names:
            _date(f"{directory}/{name}", seconds, 0)
        for name in files:
            path = f"{directory}/{name}"
            _date(path, seconds, _mark(contents.get(path[skipped:], b""), key))
    os.utime(root, (seconds, seconds))


def _date(path: str, seconds: int, nanoseconds: int) -> None:
    moment = seconds * _NANOSECONDS + nanoseconds
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def _mark(content: bytes, key: bytes) -> int:
    """Below half a second, so that no rounding makes another second of it."""
    if not content:
        return 0
    digest = hashlib.blake2b(content, key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") % (_NANOSECONDS // 2)
