"""What the database's failures mean: its errors as ours, and which of them a later try may mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from binder_protocol.errors import NoDatabase, Unavailable
from binder_protocol.service.turns import Overdue

log = structlog.get_logger()

_AGAIN_SECONDS = 2
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_POSTGRES_BUSY = frozenset({"55P03", "40001", "40P01", "53300"})
"""A lock that didn't come, two that got in each other's way, too many connections."""


@contextmanager
def translated(failure: type[Unavailable]) -> Iterator[None]:
    """Raises `failure`, or NoDatabase, for what SQLAlchemy raises; IntegrityError passes as it is."""
    try:
        yield
    except IntegrityError:
        raise
    except (PoolTimeout, Overdue) as error:
        raise _busy(failure) from error
    except DBAPIError as error:
        words = str(error.orig)  # for the operator alone: it may name hosts, users and values
        log.warning("the database failed", error=words)
        if _is_busy(error.orig):
            raise _busy(failure) from error
        if error.connection_invalidated or "unable to open" in words or "connection" in words:
            raise NoDatabase("the database can't be reached") from error
        raise failure from error
    except SQLAlchemyError as error:
        raise failure from error


def _is_busy(error: object) -> bool:
    """Whether others were in the way, and a later try may do."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    return getattr(error, "sqlstate", None) in _POSTGRES_BUSY


def _busy(failure: type[Unavailable]) -> Unavailable:
    return failure(
        "the database is busy: another one has been at work on it for too long",
        suggestions=("try again in a moment",),
        retry_after=_AGAIN_SECONDS,
    )
