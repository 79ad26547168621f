"""What one can do with templates. Knows the rules, neither HTTP nor SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from binder_protocol.errors import Conflict, DoesNotExist, InvalidTemplate
from binder_protocol.models import Limits, Template, TemplateSpec
from binder_protocol.models.quantities import memory_bytes, millicpus

LEAST_MEMORY = 6 * 1024**2
"""Docker starts no container with less."""

LEAST_CPU = 10
"""Thousandths of a CPU. Docker takes no less than a hundredth."""


@dataclass(frozen=True)
class Revision:
    """One revision of a template, as it is kept."""

    spec: TemplateSpec
    number: int
    created: datetime
    modified: datetime

    def template(self) -> Template:
        """The revision as it goes over the wire."""
        fields = {name: getattr(self.spec, name) for name in TemplateSpec.model_fields}
        return Template(
            **fields,
            revision=self.number,
            image_name=self.spec.name,
            image_source=self.spec.image,
            time_created=self.created,
            time_modified=self.modified,
        )


class Store(Protocol):
    """Keeps revisions; every method is one transaction."""

    def append(self, spec: TemplateSpec, now: datetime) -> Revision:
        """The newest revision, if it has this content already; else a new one."""

    def append_copy(self, name: str, number: int | None, now: datetime) -> Revision | None:
        """A new revision equal to `number`, or to the one before the newest; None where there is no such one.

        Raises Conflict where it is the newest one itself.
        """

    def find(self, name: str, number: int | None) -> Revision | None:
        """That revision, or the newest."""

    def search(self, words: str, limit: int, offset: int) -> tuple[list[Revision], int]:
        """The newest revisions of the templates whose names hold `words`, by name, and how many there are."""

    def history(self, name: str, limit: int, offset: int) -> tuple[list[Revision], int]:
        """All revisions, newest first, and how many there are."""

    def remove(self, name: str) -> Revision | None:
        """Forgets the template and its history; returns what was its newest revision."""


@dataclass(frozen=True)
class Ceilings:
    """The most that a template may ask for, in bytes, thousandths of a CPU and processes; the disk in bytes too."""

    memory: int
    cpu: int
    pids: int
    disk: int

    @classmethod
    def of(cls, *, memory: str, cpu: str, pids: int, disk: str) -> Ceilings:
        return cls(memory_bytes(memory), millicpus(cpu), pids, memory_bytes(disk))

    def check(self, limits: Limits) -> None:
        """Raises InvalidTemplate where `limits` are above, or below what an engine starts."""
        if limits.memory is not None:
            _between("memory", limits.memory, memory_bytes(limits.memory), LEAST_MEMORY, self.memory, "bytes")
        if limits.cpu is not None:
            _between("cpu", limits.cpu, millicpus(limits.cpu), LEAST_CPU, self.cpu, "thousandths of a CPU")
        if limits.pids is not None:
            _between("pids", str(limits.pids), limits.pids, 1, self.pids, "processes")
        if limits.disk is not None:
            _between("disk", limits.disk, memory_bytes(limits.disk), 1, self.disk, "bytes")


class Templates:
    """The registry's use cases."""

    def __init__(self, store: Store, ceilings: Ceilings) -> None:
        self._store = store
        self._ceilings = ceilings

    def register(self, spec: TemplateSpec) -> Template:
        """Makes `spec` the newest revision of its name; the same content once more changes nothing."""
        self._ceilings.check(spec.limits)
        return self._store.append(spec, datetime.now(UTC)).template()

    def fetch(self, name: str, number: int | None = None) -> Template:
        """The newest revision, or that one. Raises DoesNotExist."""
        found = self._store.find(name, number)
        if found is None:
            raise _unknown(name, number)
        return found.template()

    def search(self, words: str, limit: int, offset: int) -> tuple[list[Template], int]:
        """A page of the templates whose name or display name holds `words`, and how many there are."""
        found, total = self._store.search(words, limit, offset)
        return [each.template() for each in found], total

    def history(self, name: str, limit: int, offset: int) -> tuple[list[Template], int]:
        """A page of a template's revisions, newest first. Raises DoesNotExist."""
        found, total = self._store.history(name, limit, offset)
        if total == 0:
            raise _unknown(name)
        return [each.template() for each in found], total

    def rollback(self, name: str, number: int | None) -> Template:
        """A new revision equal to an earlier one. Raises DoesNotExist, Conflict where it is the newest already."""
        made = self._store.append_copy(name, number, datetime.now(UTC))
        if made is not None:
            return made.template()
        if number is None and self._store.find(name, None) is not None:
            raise Conflict(f"template {name} has no earlier revision")
        raise _unknown(name, number)

    def remove(self, name: str) -> Template:
        """Forgets a template and returns it. Raises DoesNotExist."""
        removed = self._store.remove(name)
        if removed is None:
            raise _unknown(name)
        return removed.template()


def _between(field: str, given: str, amount: int, least: int, most: int, unit: str) -> None:
    if not least <= amount <= most:
        raise InvalidTemplate(
            f"limits.{field}: {given} is not between {least} and {most} {unit}",
            suggestions=["ask for an amount within these bounds; the operator sets the upper one"],
        )


def _unknown(name: str, number: int | None = None) -> DoesNotExist:
    shown = name[:80]
    return DoesNotExist(
        f"there is no template {shown}" if number is None else f"template {shown} has no revision {number}"
    )
