"""The registry's handlers: one for each operation."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from binder_protocol.models import RollbackRequest, Template, TemplateSpec
from binder_protocol.service.answers import DEFAULT_LIMIT, Limit, Offset, Page
from binder_registry.templates import Templates

TO_THE_ONE_BEFORE = RollbackRequest()

Revision = Annotated[int, Query(ge=1, le=2**31)]
Search = Annotated[str, Query(max_length=200)]


class RegistryApi:
    """Speaks HTTP's words to `templates`."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def register(self, request: TemplateSpec) -> Template:
        return self._templates.register(request)

    def fetch(self, name: str, revision: Revision | None = None) -> Template:
        return self._templates.fetch(name, revision)

    def fetch_all(self, search: Search = "", limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Page:
        found, total = self._templates.search(search, limit, offset)
        return Page(found, total, offset, limit)

    def history(self, name: str, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Page:
        found, total = self._templates.history(name, limit, offset)
        return Page(found, total, offset, limit)

    def rollback(self, name: str, request: RollbackRequest = TO_THE_ONE_BEFORE) -> Template:
        return self._templates.rollback(name, request.revision)

    def remove(self, name: str) -> Template:
        return self._templates.remove(name)
