"""The operator's own credentials for git, each for one host, in a file that its owner alone can read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import structlog

from binder_build.secrets.files import too_open
from binder_protocol.errors import Unavailable
from binder_protocol.service.settings import ConfigError

log = structlog.get_logger()


class CredentialFile:
    """TOML, a table for each name: `host`, and `secret` as `user:password` or a token. Read at each use, so that
    secrets change without a restart."""

    def __init__(self, file: Path | None) -> None:
        """Raises ConfigError where there is a file that can't be used."""
        self._file = file
        self._tables()

    def find(self, name: str) -> tuple[str, str] | None:
        """The host and the secret of that name. Raises Unavailable where the file can't be read any more."""
        try:
            table = self._tables().get(name)
        except ConfigError as error:
            log.error("credentials can't be read", reason=str(error))
            raise Unavailable("the operator's file of credentials can't be read") from None
        return None if table is None else (table["host"], table["secret"])

    def _tables(self) -> dict[str, dict[str, str]]:
        if self._file is None:
            return {}
        try:
            if too_open(self._file):
                raise ConfigError(f"{self._file} can be read by others: chmod 600 {self._file}")
            tables = tomllib.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._file}: {error}") from error
        except tomllib.TOMLDecodeError:
            raise ConfigError(f"{self._file} is not TOML") from None  # the parser's words repeat what it read
        for name, table in tables.items():
            if not isinstance(table, dict) or not all(isinstance(table.get(key), str) for key in ("host", "secret")):
                raise ConfigError(f"{self._file}: [{name}] needs `host` and `secret`")
        return tables
