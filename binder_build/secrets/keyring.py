"""The keys that credentials are kept by: a file of their owner's alone, away from the database that they lock."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from binder_build.secrets.files import too_open
from binder_protocol.errors import Unavailable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

log = structlog.get_logger()


class Keyring:
    """Fernet keys in `file`, a line each, the newest first: it seals, and all of them open. Made at its first use.

    To change the key, put a new line on top and restart. Read at the first use, as is `cryptography`, whose 5 MB a
    service without credentials is spared.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._keys: list[Fernet] = []

    def seal(self, text: str) -> str:
        """`text`, to be read by who has the key. Raises Unavailable where the file can't be used."""
        return self._loaded()[0].encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises Unavailable where none of the keys fits."""
        from cryptography.fernet import InvalidToken, MultiFernet

        try:
            return MultiFernet(self._loaded()).decrypt(sealed).decode()
        except InvalidToken:
            log.error("a credential was sealed with a key that is not there", file=str(self._file))
            raise Unavailable("the credential can't be read: its key is not there") from None

    def is_newest(self, sealed: str) -> bool:
        """Whether the newest key sealed it."""
        from cryptography.fernet import InvalidToken

        try:
            self._loaded()[0].decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def _loaded(self) -> list[Fernet]:
        from cryptography.fernet import Fernet

        with self._lock:
            if not self._keys:
                try:
                    self._keys = [Fernet(line) for line in self._lines() or self._made()]
                except (OSError, ValueError) as error:
                    # A ValueError's words are of the key's form, not of the key.
                    log.error("the key of the credentials can't be used", file=str(self._file), reason=str(error))
                    raise Unavailable("the key of the credentials can't be used; the service's log says why") from None
            return self._keys

    def _lines(self) -> list[str]:
        try:
            open_to_others, text = too_open(self._file), self._file.read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        if open_to_others:
            raise ValueError(f"it can be read by others: chmod 600 {self._file}")
        return text.split() or ["empty"]  # never overwritten: it may have been emptied by accident

    def _made(self) -> list[str]:
        """A new key. Of two processes one makes it: a link never takes the place of a file that is there."""
        from cryptography.fernet import Fernet

        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"{Fernet.generate_key().decode()}\n")
        try:
            self._file.hardlink_to(draft)
        except FileExistsError:
            log.info("another process made the key of the credentials just now")
        finally:
            draft.unlink()
        return self._lines()
