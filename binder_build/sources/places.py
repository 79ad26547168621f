"""Where attempts have their files: builders know the files of a directory again by its path, and are sent what changed.

A path is of one service's life: what an earlier one left running reads no file of a later build.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path


class Places:
    """Directories below `work`, of which each build of one name has the same, as long as there is one at a time.

    `key` is theirs: the dates of their files are made with it.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._life = secrets.token_hex(4)
        self.key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._taken: set[Path] = set()

    def take(self, name: str, number: int) -> Path:
        """A path where nothing is; it is the taker's alone until it is cleared."""
        usual = self._work / f"{name}-{self._life}"
        with self._lock:
            place = self._work / f"{name}-{self._life}-{number}" if usual in self._taken else usual
            self._taken.add(place)
        return place

    def clear(self, place: Path) -> None:
        """Removes what is there: seconds for very many files, and the next build need not wait for that."""
        rubbish = self._work / f"rubbish-{secrets.token_hex(8)}"
        gone = True
        try:
            place.rename(rubbish)
        except FileNotFoundError:
            pass
        except OSError:
            gone = False
        with self._lock:
            if gone:
                self._taken.discard(place)
        shutil.rmtree(rubbish, ignore_errors=True)
