"""Where the suite keeps its things: every path below one home directory."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from binder_control.errors import ControlError

_LONGEST_SOCKET = 90  # the kernel takes 107 bytes, and supervisord first binds a name with its pid at the end


@dataclass(frozen=True)
class Paths:
    """The files of one home; two homes are two suites that know nothing of each other."""

    home: Path

    @property
    def key(self) -> Path:
        return self.home / "key"

    @property
    def control(self) -> Path:
        """What binder-control and supervisord keep: configuration, pid, socket, lock."""
        return self.home / "control"

    @property
    def supervisor_config(self) -> Path:
        return self.control / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        return self.control / "supervisord.pid"

    @property
    def launched(self) -> Path:
        """The commands that supervisord was launched with; gone once it has ended in good order."""
        return self.control / "launched.json"

    @property
    def backend(self) -> Path:
        """The backend that start-all was told; there until stop-all."""
        return self.control / "backend"

    @property
    def lock(self) -> Path:
        return self.control / "lock"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @property
    def socket(self) -> Path:
        """supervisord's socket: within the home, or in /tmp where the home's own path is too long for a socket."""
        own = self.control / "supervisor.sock"
        if len(os.fsencode(own)) <= _LONGEST_SOCKET:
            return own
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(f"/tmp/binder-{os.getuid()}-{name}/supervisor.sock")  # noqa: S108  made and checked by `prepare`

    def prepare(self) -> None:
        """Makes the directories, closed to others. Raises ControlError where that can't be."""
        for directory in (self.home, self.control, self.logs, self.socket.parent):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ControlError(f"{directory} can't be made: {error.strerror}") from error
        for directory in (self.control, self.socket.parent):
            about = directory.lstat()
            if about.st_uid != os.getuid():
                raise ControlError(
                    f"{directory} belongs to another user",
                    "work as that user, or choose another directory with --home",
                )
            directory.chmod(0o700)

    def keep_backend(self, name: str) -> None:
        """Other commands work with this backend from now on, whatever the configuration says."""
        self.prepare()
        self.backend.write_text(f"{name}\n", encoding="ascii")

    def kept_backend(self) -> str | None:
        """What `keep_backend` kept."""
        try:
            return self.backend.read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def ensure_key(self) -> bool:
        """Makes the API key where there is none; returns whether it did."""
        return _write_once(self.key, secrets.token_urlsafe(32))

    def new_key(self) -> None:
        """Replaces the API key."""
        replacement = self.key.with_name("key.new")
        replacement.unlink(missing_ok=True)
        _write_once(replacement, secrets.token_urlsafe(32))
        replacement.replace(self.key)


def home_of(environ: Mapping[str, str]) -> Path:
    """The home that the environment names, or ~/.binder."""
    return Path(environ.get("BINDER_HOME") or "~/.binder").expanduser().absolute()


def _write_once(file: Path, text: str) -> bool:
    """Writes a new file, whole or not at all, for its owner alone; returns whether there was none before."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(f"{text}\n")
        file.hardlink_to(fresh)
    except FileExistsError:
        return False
    except OSError as error:
        raise ControlError(f"{file} can't be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return True
