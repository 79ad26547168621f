"""Preloads: a template's image is brought to this host before anybody waits for it."""

from __future__ import annotations

from binder_deploy.applications import Templates
from binder_deploy.backends import Backend
from binder_deploy.launches import PLACEMENT, permitted
from binder_deploy.records import failure_of
from binder_deploy.store import Store
from binder_protocol.errors import BinderError, DoesNotExist
from binder_protocol.models import Placement, Preload, PreloadStatus
from binder_protocol.service.work import WorkerPool


class Preloads:
    """The last preload of each template is remembered, and goes on after the death of the service that did it."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        templates: Templates,
        pool: WorkerPool,
        placement: frozenset[str] = PLACEMENT,
    ) -> None:
        """`placement`: what of its place a template may say."""
        self._store = store
        self._backend = backend
        self._templates = templates
        self._pool = pool
        self._placement = placement
        self._loading: set[str] = set()

    def preload(self, template: str) -> Preload:
        """Begins to load the template's image, or joins what is loading it already. Raises InvalidTemplate."""
        known = self._store.preload(template)
        if known is not None and known.status is PreloadStatus.LOADING:
            return known
        found = self._templates.fetch(template)
        placement = permitted(found.placement, self._placement)
        begun = self._store.set_preload(template, found.image, PreloadStatus.LOADING)
        self._submit(template, found.image, placement)
        return begun

    def status(self, template: str) -> Preload:
        """How the template's preload went, or goes; raises DoesNotExist where there was none."""
        known = self._store.preload(template)
        if known is None:
            raise DoesNotExist(f"template {template[:63]} was not preloaded")
        nodes = dict(self._backend.preloaded(known.image)) if known.image is not None else {}
        return known.model_copy(update={"nodes": nodes})

    def take_up(self) -> None:
        """Goes on with what other services have left unfinished. What one of them still loads is loaded once more."""
        for template, image in self._store.interrupted_preloads():
            if template not in self._loading:
                self._submit(template, image)

    def _submit(self, template: str, image: str, placement: Placement | None = None) -> None:
        self._loading.add(template)
        try:
            self._pool.submit(lambda: self._load(template, image, placement))
        except BinderError:
            self._loading.discard(template)
            raise

    def _load(self, template: str, image: str, placement: Placement | None) -> None:
        try:
            self._keep(template, image, placement)
        finally:
            self._loading.discard(template)

    def _keep(self, template: str, image: str, placement: Placement | None) -> None:
        try:
            placement = placement or permitted(self._templates.fetch(template).placement, self._placement)
            self._backend.preload(image, placement)
        except BinderError as error:
            failure = failure_of(error, step="preload", lines=[])
            self._store.set_preload(template, image, PreloadStatus.FAILED, failure)
        else:
            self._store.set_preload(template, image, PreloadStatus.COMPLETED)
