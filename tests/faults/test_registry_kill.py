"""The registry killed in the middle of its writes: what it acknowledged is there afterwards."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from binder_client.client import Client
from binder_protocol.errors import BinderError
from binder_protocol.models import TemplateSpec
from tests.support.eventually import eventually
from tests.support.processes import Running, service

WRITERS = 4
ENOUGH = 60


def test_a_registry_that_is_killed_loses_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: dict[tuple[str, int], str] = {}
    for number in range(3):
        with service("binder_registry", tmp_path) as running:
            acknowledged |= write_until_killed(running, number)
    with service("binder_registry", tmp_path) as running, Client(running.url) as client:
        for name in (f"writer-{writer}" for writer in range(WRITERS)):
            kept = {each.revision: each.image for each in client.registry.history(name, limit=1000)}
            assert sorted(kept) == list(range(1, len(kept) + 1))
            written = {revision: image for (of, revision), image in acknowledged.items() if of == name}
            assert written.items() <= kept.items()
            assert client.registry.fetch(name).revision == max(kept)
        assert running.terminate() == 0
    with closing(sqlite3.connect(tmp_path / "registry" / "state.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def write_until_killed(running: Running, number: int) -> dict[tuple[str, int], str]:
    """Writes from several threads and kills the service once enough is written; what was acknowledged."""
    acknowledged: dict[tuple[str, int], str] = {}
    dead = threading.Event()

    def write(writer: int) -> None:
        with Client(running.url, retries=0) as client:
            count = 0
            while not dead.is_set():
                count += 1
                spec = TemplateSpec(name=f"writer-{writer}", image=f"image:{number}-{count}")
                try:
                    made = client.registry.register(spec)
                except BinderError:
                    return
                acknowledged[made.name, made.revision] = made.image

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        eventually(lambda: len(acknowledged) >= ENOUGH, within=60, what="enough writes")
        running.kill()
        dead.set()
        for each in writers:
            each.result(30)
    return acknowledged
