"""The image of a recipe, on that of its environment, and what is kept about it: lock, label, bill of materials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from binder_build.documents import Document, Documents
from binder_build.environment_images import Workbench
from binder_build.images import BuiltImage, Images
from binder_build.inventory import bill_of_materials, components_of, digest_of, lock_of
from binder_build.progress import Note
from binder_build.records import Attempt
from binder_plan.recipe import Kind, Recipe
from binder_protocol.errors import BuildTimeout, EngineError
from binder_protocol.service.app import version

LOCK_LABEL = "org.binder.lock"


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
    """Those of one engine."""

    def __init__(
        self, images: Images, documents: Documents, *, cache: str | None = None, push_seconds: float = 1_800.0
    ) -> None:
        """`cache`: where in a registry the steps are kept, for other hosts."""
        self._images = images
        self._documents = documents
        self._cache = cache
        self._push_seconds = push_seconds

    def build(self, work: Work, bench: Workbench, attempt: Attempt) -> BuiltImage:
        """Builds it, and keeps what the attempt shall know. Raises as `Images.build`."""
        own = bool(work.recipe.steps)
        lock = None if work.installs or not own else self._lock(work.environment or work.recipe.base.reference)
        cache = self._cache_of(work, bench, attempt)
        image = self._image(work, bench, lock, cache)
        if cache is not None and self._images.shares_by_image:
            self._share(image, cache, bench)
        if lock is None and (lock := self._lock(image.id, base=own)) is not None:
            image = self._labelled(work, bench, lock)
        if lock is not None:
            self._documents.keep(attempt, Document.LOCK, lock)
        if attempt.subject.request.options.sbom:
            self._keep_sbom(work, bench, attempt, image)
        return image

    def _lock(self, reference: str, *, base: bool = True) -> str | None:
        with self._images.files(reference) as files:
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
        return self._images.build(
            bench.context,
            work.recipe,
            tag=work.reference,
            labels={**work.labels, **_label(lock)},
            limits=bench.limits,
            epoch=work.committed_at,
            no_cache=bench.no_cache,
            on_event=bench.on_event,
            cancel=bench.cancel,
            environment=work.environment,
            secrets=bench.secrets,
            cache=cache,
        )

    def _labelled(self, work: Work, bench: Workbench, lock: str) -> BuiltImage:
        """The same image with the label of its lock, which was known only when it was made."""
        recipe = replace(work.recipe, dockerfile=f"FROM {work.reference}\n", dockerignore="*\n", steps=())
        return self._images.build(
            bench.context,
            recipe,
            tag=work.reference,
            labels={**work.labels, **_label(lock)},
            limits=bench.limits,
            epoch=work.committed_at,
            on_event=_unheard,
            cancel=bench.cancel,
        )

    def _keep_sbom(self, work: Work, bench: Workbench, attempt: Attempt, image: BuiltImage) -> None:
        with self._images.files(image.id) as files:
            found = components_of(files)
        commit = work.labels["org.binder.commit"]
        text = bill_of_materials(image.id, attempt.name, commit, work.committed_at, version(), found)
        self._documents.keep(attempt, Document.SBOM, text)
        bench.on_event(Note(f"the bill of materials lists {len(found)} components"))


def _label(lock: str | None) -> dict[str, str]:
    return {} if lock is None else {LOCK_LABEL: digest_of(lock)}


def _unheard(_: object) -> None:
    """A label is no step that people would want to know of."""
