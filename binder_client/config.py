"""Which server, and with which key: options, environment, the file of profiles, or this host's own suite.

The file is `client.toml` in the user's configuration directory, a table for each profile:

    [default]
    url = "https://binder.example.org"
    key = "…"
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from binder_client.address import base_url, is_loopback
from binder_protocol.errors import RequestError

DEFAULT_PROFILE = "default"
LOCAL_URL = "http://127.0.0.1:8080"
"""The front door of a suite on this host."""
_MAX_FILE = 2**20
_MAX_KEY = 4_096
_PROFILE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = "# Servers and their keys, by profile. `binder-client login` writes this file; only its owner may read it.\n"


class ConfigError(Exception):
    """The configuration can't be used. `suggestion` says what to do."""

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go, and the key that they carry."""

    url: str
    key: str | None = field(default=None, repr=False)


def default_path() -> Path:
    """`client.toml` in the user's configuration directory, as the system has it."""
    import platformdirs

    return Path(platformdirs.user_config_dir("binder", appauthor=False)) / "client.toml"


def server(
    environ: Mapping[str, str],
    *,
    url: str | None = None,
    profile: str | None = None,
    path: Path | None = None,
) -> Server:
    """The server that `url` and `profile` (both as typed by the user, or None), environment and file name.

    BINDER_URL and BINDER_API_KEY win over the file. A key goes to the server that it was stored for, to no other.
    Raises ConfigError for a file that can't be trusted or understood, or without that profile.
    """
    key = environ.get("BINDER_API_KEY") or None
    profile = profile or environ.get("BINDER_PROFILE") or None
    wanted = url or environ.get("BINDER_URL") or None
    if wanted is not None:
        wanted = base_url(wanted)
    if wanted is not None and key is not None and profile is None:
        return Server(wanted, key)
    stored = _stored(load(path or default_path()), profile, wanted)
    if stored is not None:
        return Server(stored.url, key or stored.key)
    local = wanted or _host_url(environ)
    return Server(local, key or (_host_key(environ) if is_loopback(urlsplit(local).hostname or "") else None))


def load(path: Path) -> dict[str, Server]:
    """The profiles of the file, none where there is no file. Raises ConfigError."""
    text = _private_text(path)
    if text is None:
        return {}
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}", "mend it, or write it anew: binder-client login URL") from None
    return {name: _profile(path, name, table) for name, table in tables.items()}


def save(path: Path, name: str, entry: Server) -> None:
    """Store `entry` as the profile `name`, beside the others; readers see the old file or the new one, never a part.

    Raises ConfigError where the present file can't be used or the new one can't be written.
    """
    if not _PROFILE.fullmatch(name):
        raise ConfigError(f"{name[:80]!r} can't name a profile", "use letters, digits, - and _")
    profiles = {**load(path), name: entry}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".client-")  # created with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(_HEADER + "".join(_table(each, profiles[each]) for each in sorted(profiles)))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path} can't be written: {reason}", "use BINDER_URL and BINDER_API_KEY instead") from error


def _stored(profiles: Mapping[str, Server], profile: str | None, url: str | None) -> Server | None:
    """The named profile; for a URL, the profile that has it; else the default one."""
    if profile is not None:
        if profile not in profiles:
            near = difflib.get_close_matches(profile, profiles, 1)
            hint = f"did you mean {near[0]}?" if near else f"make it: binder-client --profile {profile} login URL"
            raise ConfigError(f"there is no profile {profile!r}", hint)
        found = profiles[profile]
        return found if url is None or url == found.url else Server(url)
    if url is not None:
        return next((each for each in profiles.values() if each.url == url), None)
    return profiles.get(DEFAULT_PROFILE)


def _profile(path: Path, name: str, table: object) -> Server:
    mend = "mend it, or write it anew: binder-client login URL"
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} stands outside of a profile's table", mend)
    for entry in table:
        if entry not in ("url", "key"):
            near = difflib.get_close_matches(entry, ("url", "key"), 1, cutoff=0.3)
            raise ConfigError(f"{path}: [{name}] has no {entry}", f"did you mean {near[0] if near else 'url'}?")
    url, key = table.get("url"), table.get("key")
    if not isinstance(url, str) or not isinstance(key, str | None):
        raise ConfigError(f"{path}: [{name}] needs a url, and a key that is text", mend)
    try:
        return Server(base_url(url), key or None)
    except RequestError as error:
        raise ConfigError(f"{path}: [{name}] url: {error.message}", mend) from None


def _table(name: str, entry: Server) -> str:
    key = f"key = {json.dumps(entry.key, ensure_ascii=False)}\n" if entry.key else ""
    return f"\n[{name}]\nurl = {json.dumps(entry.url, ensure_ascii=False)}\n{key}"


def _private_text(path: Path) -> str | None:
    """The file's text, None where there is none. Raises ConfigError for one that others can read or change."""
    try:
        with path.open("rb") as file:
            if os.name == "posix":
                _check_private(path, os.fstat(file.fileno()))
            content = file.read(_MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}", f"see who owns it: ls -l {path}") from error
    if len(content) > _MAX_FILE:
        raise ConfigError(f"{path} is larger than any file of profiles", "write it anew: binder-client login URL")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} isn't UTF-8", "write it anew: binder-client login URL") from None


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to another user", f"remove it, or make it yours: chown $USER {path}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"{path} can be read or changed by others", f"chmod 600 {path}; if others had a look, change the key too"
        )


def _host_url(environ: Mapping[str, str]) -> str:
    """The front door of the suite on this host: at the port of its binder.toml, where this user may read that."""
    try:
        file = Path(environ.get("BINDER_CONFIG") or _host_home(environ) / "binder.toml")
        port = tomllib.loads(file.read_text(encoding="utf-8"))["control"]["port"]
    except (OSError, ValueError, RuntimeError, LookupError, TypeError):
        return LOCAL_URL
    return f"http://127.0.0.1:{port}" if isinstance(port, int) and 0 < port < 65_536 else LOCAL_URL


def _host_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("BINDER_HOME") or Path.home() / ".binder").expanduser()


def _host_key(environ: Mapping[str, str]) -> str | None:
    """The key of the suite on this host, where this user may read it."""
    try:
        with (_host_home(environ) / "key").open(encoding="ascii") as file:
            return file.read(_MAX_KEY).strip() or None
    except (OSError, ValueError, RuntimeError):
        return None
