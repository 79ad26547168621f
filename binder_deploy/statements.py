"""What a launch says to the database, said once: putting such a statement together takes longer than its execution."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select, update

from binder_deploy.records import ACTIVE
from binder_deploy.tables import APPLICATIONS, EVENTS

IN_USE = APPLICATIONS.c.status.in_(sorted(ACTIVE))

COUNT_IN_USE = select(func.count()).select_from(APPLICATIONS).where(IN_USE)

FIND = select(APPLICATIONS).where(APPLICATIONS.c.id == bindparam("identity"))
FIND_IN_TURN = FIND.with_for_update()
"""Other writers of the record wait until the transaction has ended. SQLite's wait anyway."""

ADD = insert(APPLICATIONS).values(
    {
        name: bindparam(name)
        for name in ("id", "template", "status", "anonymous", "launch", "created", "since", "timings")
    }
)

_ADVANCED = ("status", "since", "ended", "last_activity", "location", "timings", "failure", "reason")
ADVANCE = (
    update(APPLICATIONS)
    .where(APPLICATIONS.c.id == bindparam("identity"))
    .values({name: bindparam(f"new_{name}") for name in _ADVANCED})
)

_NEXT = select(func.coalesce(func.max(EVENTS.c.number), 0) + 1).where(EVENTS.c.application == bindparam("identity"))
TELL = insert(EVENTS).values(
    application=bindparam("identity"),
    number=_NEXT.scalar_subquery(),
    **{name: bindparam(name) for name in ("time", "status", "message", "seconds", "failure")},
)
"""One more event of an application."""
