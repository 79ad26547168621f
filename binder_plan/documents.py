"""TOML files of a repository, read with the reason why they can't be."""

from __future__ import annotations

import tomllib
from typing import Any

from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository


def read_toml(tree: Tree, path: str) -> dict[str, Any]:
    """The tables of the file. Raises `InvalidRepository` with the place of the error."""
    try:
        return tomllib.loads(tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRepository(f"{path} is not valid TOML: {error}"[:300], suggestions=(f"correct {path}",)) from None
