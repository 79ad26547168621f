"""Buildpacks of others: found by the entry points `binder.buildpacks`, put in their places, held to the contract.

An entry point names a class without arguments. Its attribute `before` names the buildpack that it comes before; without
it, it comes last of all that don't fit every repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from binder_plan.buildpacks import BUILDPACKS, Buildpack, Detection, Folder, Parts
from binder_plan.recipe import Base, PlanSettings
from binder_protocol.errors import BinderError, BuildpackFailed

GROUP = "binder.buildpacks"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Installed:
    """All buildpacks in the order of their precedence, `versions` of those of others by name, and what went wrong."""

    buildpacks: tuple[Buildpack, ...]
    versions: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


def installed(own: Sequence[Buildpack] = BUILDPACKS, points: Iterable[EntryPoint] | None = None) -> Installed:
    """Ours and those of installed distributions. One that can't be loaded is a problem with its name, and no more."""
    order: list[Buildpack] = list(own)
    versions: list[tuple[str, str]] = []
    problems: list[str] = []
    found = entry_points(group=GROUP) if points is None else points
    for point in sorted(found, key=lambda each: each.name):
        try:
            buildpack = _Guarded(point.load()())
            names = [each.name for each in order]
            if buildpack.name in names:
                raise ValueError(f"there is a buildpack {buildpack.name} already")
            order.insert(names.index(buildpack.before), buildpack)
        except Exception as error:  # noqa: BLE001 - it is code of others
            problems.append(
                f"buildpack {point.name} ({point.value}) is left out: {type(error).__name__}: {error}"[:500]
            )
            continue
        versions.append((buildpack.name, point.dist.version if point.dist else ""))
    return Installed(tuple(order), tuple(versions), tuple(problems))


class _Guarded:
    """A buildpack of others, whose failures are told apart from ours and from the repository's."""

    def __init__(self, buildpack: Buildpack) -> None:
        self.name = str(buildpack.name)
        self.before = str(getattr(buildpack, "before", "bare"))
        self._detect, self._render = buildpack.detect, buildpack.render

    def detect(self, folder: Folder) -> Detection | None:
        found = self._call(lambda: self._detect(folder))
        return found if found is None else self._checked(found, Detection)

    def render(self, folder: Folder, base: Base, settings: PlanSettings) -> Parts:
        return self._checked(self._call(lambda: self._render(folder, base, settings)), Parts)

    def _call(self, work: Callable[[], _Answer]) -> _Answer:
        try:
            return work()
        except BinderError:
            raise
        except Exception as error:
            raise BuildpackFailed(f"the buildpack {self.name} failed: {type(error).__name__}: {error}"[:500]) from error

    def _checked(self, answer: object, kind: type[_Answer]) -> _Answer:
        if not isinstance(answer, kind):
            raise BuildpackFailed(f"the buildpack {self.name} answered a {type(answer).__name__}, no {kind.__name__}")
        return answer
