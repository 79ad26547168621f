"""The health service's one operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from binder_control.health.store import ResultStore
from binder_protocol.models import Health

History = Annotated[int, Query(ge=0, le=10_000, description="how many older results of each check")]


class HealthApi:
    """Speaks HTTP's words to the results."""

    def __init__(self, store: ResultStore, names: Sequence[str]) -> None:
        self._store = store
        self._names = names

    def status(self, history: History = 0) -> list[Health]:
        """The newest result of each check; none of a check that has not run yet."""
        answer: list[Health] = []
        for name in self._names:
            found = self._store.newest(name, history + 1)
            answer += [found[0].model_copy(update={"history": found[1:]})] if found else []
        return answer
