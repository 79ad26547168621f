"""Logins to registries, from the configuration file that `docker login` writes, and that clusters keep as a secret."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HELPER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HELPER_SECONDS = 20
_MAX_FILE = 2**20


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody whom a registry knows."""

    user: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """What the header Authorization says of it."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.secret}'.encode()).decode()}"


class Logins:
    """Those of `config.json` in the directory; it is read anew for each, for logins of clouds last hours alone."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "config.json"

    def of(self, host: str) -> Login | None:
        """The login at that host; None where there is none that can be used."""
        config = self._config()
        helper = _table(config, "credHelpers").get(host) or config.get("credsStore")
        found = _helped(str(helper), host) if helper else None
        return found or _stored(_table(config, "auths"), host)

    def _config(self) -> Mapping[str, Any]:
        with suppress(OSError, ValueError), self._file.open("rb") as file:
            found = json.loads(file.read(_MAX_FILE))
            return found if isinstance(found, dict) else {}
        return {}


def _stored(auths: Mapping[str, Any], host: str) -> Login | None:
    entry = next((auths[name] for name in (host, f"https://{host}", f"http://{host}") if name in auths), None)
    if not isinstance(entry, dict):
        return None
    if entry.get("username") and entry.get("password"):
        return Login(str(entry["username"]), str(entry["password"]))
    with suppress(binascii.Error, ValueError):
        user, colon, secret = base64.b64decode(str(entry.get("auth", ""))).decode().partition(":")
        return Login(user, secret.rstrip("\0")) if colon else None
    return None


def _helped(helper: str, host: str) -> Login | None:
    """What docker's credential helper of that name answers."""
    if not _HELPER.fullmatch(helper):
        return None
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=host.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout[:_MAX_FILE]) if done.returncode == 0 else {}
        if isinstance(answer, dict) and answer.get("Secret"):
            return Login(str(answer.get("Username", "")), str(answer["Secret"]))
    return None


def _table(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}
