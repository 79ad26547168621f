"""A PostgreSQL server of the tests' own: Debian's programs, a directory and a port that nobody else uses."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.support.eventually import eventually
from tests.support.processes import free_port

PASSWORD = "a-password-for-tests"
_OWNER = "binder"
_INSTALLED = Path("/usr/lib/postgresql")
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB")


@dataclass(frozen=True)
class Postgres:
    """The server at `host` and `port`, and how to get an empty database there."""

    port: int
    host: str = "127.0.0.1"

    def new(self) -> str:
        """The URL of a database that nobody used yet."""
        name = f"t{uuid.uuid4().hex[:12]}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of the database of that name."""
        return f"postgresql+psycopg://{_OWNER}:{PASSWORD}@{self.host}:{self.port}/{name}"


def program(name: str) -> str | None:
    """One of PostgreSQL's programs: Debian keeps them away from PATH."""
    kept = sorted(_INSTALLED.glob(f"*/bin/{name}"), key=lambda each: each.parts[4])
    return str(kept[-1]) if kept else shutil.which(name)


@contextmanager
def postgres_server(host: str = "127.0.0.1") -> Iterator[Postgres]:
    """A server that is gone afterwards with all it kept. It refuses to be root: then it is its package's user."""
    place = Path(tempfile.mkdtemp(prefix="binder-postgres-"))
    user = _other_user()
    if user is not None:
        shutil.chown(place, user)
    process = None
    try:
        _make(place, user)
        process, port = _start(place, host, user)
        yield Postgres(port, host)
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        shutil.rmtree(place, ignore_errors=True)


def _other_user() -> str | None:
    return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None


def _make(place: Path, user: str | None) -> None:
    secret = place / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    command = [program("initdb") or "initdb", "--pgdata", str(place / "data"), "--username", _OWNER, "--no-sync"]
    command += ["--auth", "scram-sha-256", "--pwfile", str(secret), "--encoding", "UTF8", "--locale", "C"]
    done = subprocess.run(command, user=user, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (place / "data" / "pg_hba.conf").write_text("host all all 0.0.0.0/0 scram-sha-256\n")


def _start(place: Path, host: str, user: str | None) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    command = [program("postgres") or "postgres", "-D", str(place / "data"), "-p", str(port), "-h", host, "-k", ""]
    for setting in _SETTINGS:
        command += ["-c", setting]
    log = place / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, user=user, cwd=place, stdout=out, stderr=out)
    url = Postgres(port, host).url("postgres")
    eventually(lambda: process.poll() is not None or _answers(url), within=30, what="PostgreSQL's start")
    assert process.poll() is None, log.read_text()[-2000:]
    return process, port


def _answers(url: str) -> bool:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1")).scalar_one())
    except Exception:  # noqa: BLE001 - whatever keeps it from answering, it doesn't yet
        return False
    finally:
        engine.dispose()
