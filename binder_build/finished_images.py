"""The image of a recipe, on that of its environment, and what is kept about it: lock, labels, bill of materials."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from binder_build.documents import Document, Documents
from binder_build.environment_images import Workbench
from binder_build.images.order import BuildOrder
from binder_build.images.progress import Note
from binder_build.images.store import BuiltImage, ImageStore
from binder_build.inventory import bill_of_materials, components_of, digest_of, lock_of
from binder_build.records import Attempt
from binder_plan.recipe import Kind, Recipe
from binder_protocol.errors import BuildTimeout, EngineError
from binder_protocol.service.app import version

LOCK_LABEL = "org.binder.lock"
SBOM_LABEL = "org.binder.sbom"
SBOM_PATH = "/usr/local/share/binder/sbom.cdx.json"
"""Where an image holds its bill of materials, for scanners and for whoever has the image alone."""


@dataclass(frozen=True)
class Work:
    """One image to be made, named `reference`. `environment` is the image it stands on, where that is there.

    `committed_at` (Unix seconds) dates it.
    """

    recipe: Recipe
    environment: str | None
    reference: str
    labels: Mapping[str, str]
    committed_at: int

    @property
    def installs(self) -> bool:
        """Whether something is installed beyond what is there before."""
        if self.environment is None and self.recipe.environment is not None:
            return True
        return any(step.kind is Kind.PROJECT for step in self.recipe.steps)


class FinishedImages:
    """Those of one store."""

    def __init__(
        self, images: ImageStore, documents: Documents, *, cache: str | None = None, push_seconds: float = 1_800.0
    ) -> None:
        """`cache`: where in a registry the steps are kept, for other hosts."""
        self._images = images
        self._documents = documents
        self._cache = cache
        self._push_seconds = push_seconds

    def build(self, work: Work, bench: Workbench, attempt: Attempt) -> BuiltImage:
        """Builds it, and keeps what the attempt shall know. Raises as `ImageStore.build`."""
        own = bool(work.recipe.steps)
        lock = None if work.installs or not own else self._lock(bench, work.environment or work.recipe.base.reference)
        cache = self._cache_of(work, bench, attempt)
        image = self._image(work, bench, lock, cache)
        if cache is not None and self._images.shares_by_image:
            self._share(image, cache, bench)
        unlabelled = lock is None
        if lock is None:
            lock = self._lock(bench, image.id, base=own)
        if lock is not None:
            self._documents.keep(attempt, Document.LOCK, lock)
        bill = self._bill(work, bench, attempt, image) if attempt.subject.request.options.sbom else None
        if bill is None and (lock is None or not unlabelled):
            return image
        return self._completed(work, bench, image, lock, bill)

    def _lock(self, bench: Workbench, reference: str, *, base: bool = True) -> str | None:
        with self._images.files(reference, repository=bench.repository) as files:
            return lock_of(files, base=base)

    def _cache_of(self, work: Work, bench: Workbench, attempt: Attempt) -> str | None:
        """Where the steps are kept; never those that saw a secret.

        What comes of our own steps is shared as the environment's image, and the rest takes a moment.
        """
        if self._cache is None or not bench.secrets.empty or not self._images.has_buildx():
            return None
        if self._images.shares_by_image and work.recipe.steps:
            return None
        return f"{self._cache}/{attempt.name}:cache"

    def _share(self, image: BuiltImage, cache: str, bench: Workbench) -> None:
        self._images.tag(image.id, cache)
        try:
            self._images.push(cache, seconds=self._push_seconds, on_event=bench.on_event, cancel=bench.cancel)
        except (EngineError, BuildTimeout) as error:
            bench.on_event(Note(f"warning: the steps are not shared: {error.message}"))
        finally:
            self._images.remove(cache)

    def _image(self, work: Work, bench: Workbench, lock: str | None, cache: str | None) -> BuiltImage:
        order = BuildOrder(
            bench.context,
            work.recipe,
            tag=work.reference,
            labels={**work.labels, **_label(lock)},
            limits=bench.limits,
            epoch=work.committed_at,
            no_cache=bench.no_cache,
            environment=work.environment,
            secrets=bench.secrets,
            cache=cache,
            repository=bench.repository,
        )
        return self._images.build(order, bench.on_event, bench.cancel)

    def _completed(
        self, work: Work, bench: Workbench, image: BuiltImage, lock: str | None, bill: str | None
    ) -> BuiltImage:
        """The same image with what was known only when it was made: the label of its lock, its bill of materials."""
        with tempfile.TemporaryDirectory(prefix="complete-") as place:
            lines = [f"FROM {work.reference}"]
            if bill is not None:
                file = Path(place) / Path(SBOM_PATH).name
                file.write_text(bill)
                file.chmod(0o644)
                os.utime(file, (work.committed_at, work.committed_at))
                lines.append(f"COPY {file.name} {SBOM_PATH}")
            recipe = replace(work.recipe, dockerfile="\n".join([*lines, ""]), dockerignore="", steps=(), context="")
            order = BuildOrder(
                Path(place),
                recipe,
                tag=work.reference,
                labels={**work.labels, **_label(lock), **_label(bill, SBOM_LABEL)},
                limits=bench.limits,
                epoch=work.committed_at,
                repository=bench.repository,
            )
            made = self._images.build(order, _unheard, bench.cancel)
        if made.id != image.id:
            self._images.remove(image.id)  # it has lost its name, and nobody would find it again
        return made

    def _bill(self, work: Work, bench: Workbench, attempt: Attempt, image: BuiltImage) -> str:
        with self._images.files(image.id, repository=bench.repository) as files:
            found = components_of(files)
        commit = work.labels["org.binder.commit"]
        text = bill_of_materials(image.id, attempt.name, commit, work.committed_at, version(), found)
        self._documents.keep(attempt, Document.SBOM, text)
        bench.on_event(Note(f"the bill of materials lists {len(found)} components; the image holds it at {SBOM_PATH}"))
        return text


def _label(text: str | None, name: str = LOCK_LABEL) -> dict[str, str]:
    return {} if text is None else {name: digest_of(text)}


def _unheard(_: object) -> None:
    """It is no step that people would want to know of."""
