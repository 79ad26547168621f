"""Folders of very many files, which get a layer of their own: a commit that leaves them alone copies none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from binder_plan.tree import Tree

LARGE_FOLDERS = ".binder-large-folders"
"""The directory of a build's context that they are put into, and that is a context of its own."""

_MANY = 500
_MAX_FILES = 200_000


def large_folders(tree: Tree, needed: Iterable[str]) -> tuple[str, ...]:
    """Their names, those of hidden ones and of those with a `needed` file left out; sorted."""
    if tree.has(LARGE_FOLDERS):
        return ()
    counts = Counter(path.partition("/")[0] for path, _ in tree.sizes(_MAX_FILES) if "/" in path)
    kept = {path.partition("/")[0] for path in needed}
    return tuple(
        sorted(name for name, count in counts.items() if count >= _MANY and name not in kept and name[0] != ".")
    )
