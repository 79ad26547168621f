"""What every buildpack is given and answers: where the build files are, what was found, what it adds to the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from binder_plan.recipe import Base, Launch, PlanSettings, Step
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository
from binder_protocol.models import IgnoredFile


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a repository keeps its build files: `binder`, `.binder`, or its root, which the other two hide."""

    tree: Tree
    path: str = ""

    @classmethod
    def of(cls, tree: Tree) -> Folder:
        """Where one is a link, what it leads to. Raises `InvalidRepository` where there are both of them."""
        # A file can't be copied by way of a link before the repository brings the link itself.
        found = list(dict.fromkeys(tree.real(name) for name in ("binder", ".binder") if tree.is_directory(name)))
        if len(found) > 1:
            raise InvalidRepository(
                "the repository has both binder/ and .binder/", suggestions=("keep one of the two directories",)
            )
        return cls(tree, found[0] if found else "")

    @property
    def is_root(self) -> bool:
        return not self.path

    def find(self, name: str) -> str | None:
        """The path in the tree of the build file `name`, where there is one."""
        path = f"{self.path}/{name}" if self.path else name
        return path if self.tree.has(path) and not self.tree.is_directory(path) else None


@dataclass(frozen=True, slots=True)
class Detection:
    """A buildpack fits: in one sentence why, and by which files."""

    reason: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a buildpack adds.

    `packages` are Debian packages it needs; `before` are steps that don't need the repository's contents, `after`
    those that do. `ahead` are steps that run beside the installation of Debian packages, in a stage of their own of
    which nothing stays, to fill the caches of `before`. `variables` hold from `before` on, at run time, too.
    `wheels_only` as in a recipe. `dockerfile` is a whole text that takes the place of all others.
    """

    packages: tuple[str, ...] = ()
    ahead: tuple[Step, ...] = ()
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    launch: Launch = field(default_factory=Launch)
    wheels_only: bool = False
    ignored: tuple[IgnoredFile, ...] = ()
    warnings: tuple[str, ...] = ()
    dockerfile: str | None = None
    build_args: dict[str, str] = field(default_factory=dict)


def joined(*parts: Parts) -> Parts:
    """What several buildpacks add, in this order; it starts as the first one says that says anything.

    Steps of which a cache is shared by repositories belong before those that run a repository's code.
    """
    return Parts(
        packages=tuple(name for each in parts for name in each.packages),
        ahead=tuple(step for each in parts for step in each.ahead),
        before=tuple(step for each in parts for step in each.before),
        after=tuple(step for each in parts for step in each.after),
        variables={name: value for each in parts for name, value in each.variables.items()},
        versions={name: value for each in parts for name, value in each.versions.items()},
        launch=next((each.launch for each in parts if each.launch != Launch()), Launch()),
        wheels_only=any(each.wheels_only for each in parts),
        ignored=tuple(file for each in parts for file in each.ignored),
        warnings=tuple(warning for each in parts for warning in each.warnings),
    )


class Buildpack(Protocol):
    """One way to build a repository. Both methods are pure."""

    @property
    def name(self) -> str: ...

    def detect(self, folder: Folder) -> Detection | None:
        """Whether the files of this buildpack are there."""

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        """What it adds to `base`. Raises `InvalidRepository` where a file can't be used."""
