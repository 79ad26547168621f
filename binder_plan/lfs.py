"""Files that Git LFS keeps elsewhere: without it, a checkout has small text files in their places."""

from __future__ import annotations

import re
from itertools import islice

from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

MAX_LOOKED_AT, MAX_READ, MAX_NAMED = 50_000, 2_000, 5
_SIZES = range(100, 200)
_POINTER = re.compile(r"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]+\n)+")


def lfs_warnings(tree: Tree) -> tuple[str, ...]:
    """What to say of the pointers among the first files; where there are none, nothing."""
    small = (path for path, size in tree.sizes(MAX_LOOKED_AT) if size in _SIZES)
    found = sorted(path for path in islice(small, MAX_READ) if _is_pointer(tree, path))
    if not found:
        return ()
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    names = ", ".join(found[:MAX_NAMED])
    return (
        f"{names}{more}: the contents are in Git LFS, which is not fetched; only its pointer is in the image. "
        "Commit the contents themselves, or download them in postBuild",
    )


def _is_pointer(tree: Tree, path: str) -> bool:
    try:
        return _POINTER.fullmatch(tree.text(path)) is not None
    except InvalidRepository:
        return False
