"""The secrets that requests may name: those kept sealed in the database, and those of the operator's file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Column, Float, MetaData, Row, String, Table, Text, delete, func, insert, select, update

from binder_build.records import moment
from binder_build.secrets.build_secrets import BuildSecrets, Index
from binder_build.secrets.keyring import Keyring
from binder_build.secrets.operators import CredentialFile
from binder_build.sources.repository import Repository
from binder_protocol.errors import Conflict, DoesNotExist, RequestError, Unavailable
from binder_protocol.models import Credential, CredentialKind, CredentialRequest
from binder_protocol.names import is_name
from binder_protocol.service.storage import Database

_TABLE = Table(
    "build_credentials",
    MetaData(),
    Column("name", String(63), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("host", Text),
    Column("url", Text),
    Column("user", Text),
    Column("sealed", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
)
_ADD = ["binder-client credentials put NAME", "binder-client credentials list"]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A credential with its secret."""

    name: str
    kind: CredentialKind
    host: str | None
    url: str | None
    user: str | None
    secret: str = field(repr=False)


class CredentialStore:
    """A name of the operator's file is the file's alone. Secrets leave by `secret` and `for_build` alone."""

    def __init__(self, database: Database, keyring: Keyring, file: CredentialFile) -> None:
        self._database = database
        self._keyring = keyring
        self._file = file

    def put(self, name: str, request: CredentialRequest) -> Credential:
        """Keeps it, in the place of one of that name. Raises RequestError, and Conflict for a name of the file's."""
        if not is_name(name):
            raise RequestError("the name of a credential is 1 to 63 lower-case letters, digits and hyphens")
        if self._file.find(name) is not None:
            raise Conflict("the operator's file of credentials has this name", suggestions=["choose another name"])
        opened = _Opened(name, request.kind, request.host, request.url, request.user, request.secret)
        now = time.time()
        facts: dict[str, object] = {
            "kind": opened.kind.value,
            "host": opened.host,
            "url": opened.url,
            "user": opened.user,
        }
        facts |= {"sealed": self._keyring.seal(_sealed_text(opened)), "changed": now}
        mine = _TABLE.c.name == name
        with self._database.session() as connection:
            self._database.take_turn(connection, "credentials")
            if connection.execute(update(_TABLE).where(mine).values(**facts)).rowcount == 0:
                connection.execute(insert(_TABLE).values(name=name, created=now, **facts))
            return _shown(connection.execute(select(_TABLE).where(mine)).one())

    def page(self, limit: int, offset: int) -> tuple[list[Credential], int]:
        """A page of them by name, and how many there are."""
        with self._database.reading() as connection:
            total = connection.execute(select(func.count()).select_from(_TABLE)).scalar_one()
            rows = connection.execute(select(_TABLE).order_by(_TABLE.c.name).limit(limit).offset(offset))
            return [_shown(row) for row in rows], total

    def remove(self, name: str) -> Credential:
        """Forgets it. Raises DoesNotExist."""
        with self._database.session() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.name == name)).first()
            if row is None:
                raise DoesNotExist(f"there is no credential of the name {name[:100]!r}")
            connection.execute(delete(_TABLE).where(_TABLE.c.name == name))
            return _shown(row)

    def secret(self, name: str | None, repository: Repository) -> str | None:
        """git's secret of that name, for that repository's host; None where no name is given.

        Raises RequestError, and Unavailable where it can't be read. A secret is told to no other host, whoever asks.
        """
        if name is None:
            return None
        host, secret = self._file.find(name) or self._for_git(name)
        if host != repository.host:
            raise RequestError(f"there is no credential of this name for {repository.host}", suggestions=_ADD)
        return secret

    def for_build(self, names: Sequence[str], repository: Repository) -> BuildSecrets:
        """What the steps of its build get by these names. Raises RequestError, which names the one that isn't there."""
        values: dict[str, str] = {}
        indexes: dict[str, Index] = {}
        for name in names:
            found = self._open(name)
            if found is None or found.kind is CredentialKind.GIT:
                raise RequestError(f"there is no secret for builds of the name {name!r}", suggestions=_ADD)
            if found.url is not None:
                indexes[name] = Index(found.url, found.user, found.secret)
            else:
                values[name] = found.secret
        return BuildSecrets(values, indexes, repository.name)

    def _for_git(self, name: str) -> tuple[str | None, str]:
        found = self._open(name)
        if found is None or found.kind is not CredentialKind.GIT:
            return None, ""
        return found.host, found.secret

    def _open(self, name: str) -> _Opened | None:
        with self._database.reading() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.name == name)).first()
        if row is None:
            return None
        text = self._keyring.open(row.sealed)
        opened = _Opened(row.name, CredentialKind(row.kind), row.host, row.url, row.user, json.loads(text)[-1])
        if text != _sealed_text(opened):
            raise Unavailable("the credential was changed in the database by somebody who doesn't have its key")
        if not self._keyring.is_newest(row.sealed):
            renewed = update(_TABLE).where(_TABLE.c.name == name, _TABLE.c.sealed == row.sealed)
            with self._database.session() as connection:
                connection.execute(renewed.values(sealed=self._keyring.seal(text)))
        return opened


def _sealed_text(opened: _Opened) -> str:
    """What is sealed: the secret with all that says whom it may be told, so that nobody changes that around it."""
    return json.dumps([opened.name, opened.kind.value, opened.host, opened.url, opened.user, opened.secret])


def _shown(row: Row[tuple[object, ...]]) -> Credential:
    return Credential(
        name=row.name,
        kind=CredentialKind(row.kind),
        host=row.host,
        url=row.url,
        user=row.user,
        created=moment(row.created),
        changed=moment(row.changed),
    )
