"""500 followers of one build's log: how late a line reaches the last of them, and what the service weighs meanwhile.

Prints one JSON object. The followers run in this process and the service in its own; on few cores they disturb each
other, so the truth is better than what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import docker
import psutil

from tests.support.building import KEY, build_process, registry
from tests.support.git_server import git_server


async def follower(port: int, name: str, late: list[float], seen: list[int]) -> None:
    """Reads one stream to its end; notes how late each line came, and how many there were without a gap."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    head = f"GET /builds/{name}/logs?follow=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    writer.write(head.encode())
    last = 0
    async for raw in reader:
        if not raw.startswith(b"data: {"):
            continue
        now = datetime.now(UTC).timestamp()
        number, kind, written = _parsed(raw)
        assert number == last + 1, f"line {number} after {last}"
        last = number
        if kind == "line":
            late.append(now - written)
        if kind == "end":
            break
    writer.close()
    seen.append(last)


@functools.cache
def _parsed(raw: bytes) -> tuple[int, str, float]:
    line = json.loads(raw[6:])
    return line["id"], line["kind"], datetime.fromisoformat(line["time"]).timestamp()


async def follow_all(port: int, name: str, followers: int) -> tuple[list[float], list[int]]:
    late: list[float] = []
    seen: list[int] = []
    await asyncio.gather(*(follower(port, name, late, seen) for _ in range(followers)))
    return late, seen


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--followers", type=int, default=500)
    arguments.add_argument("--lines", type=int, default=300)
    arguments.add_argument("--rate", type=float, default=20, help="lines a second")
    given = arguments.parse_args()
    step = f"RUN sleep 4; for i in $(seq {given.lines}); do echo line $i of many, as long as such lines are; "
    dockerfile = f"FROM binder-base:latest\n{step} sleep {1 / given.rate}; done # {time.time()}\n"
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with (
            git_server(home / "git") as git,
            registry(home / "registry") as registry_url,
            build_process(home / "build", registry_url=registry_url, log_level="warning") as service,
        ):
            url, client, process = service.url, service.client, psutil.Process(service.process.pid)
            at_rest = process.memory_info().rss
            busy = sum(process.cpu_times()[:2])
            name = client.build.start(git.create("bench/followers", {"Dockerfile": dockerfile}).url).name
            peak, done = [at_rest], threading.Event()
            watch = threading.Thread(target=_watch, args=(process, peak, done))
            watch.start()
            late, seen = asyncio.run(follow_all(int(url.rpartition(":")[2]), name, given.followers))
            done.set()
            watch.join()
            busy = sum(process.cpu_times()[:2]) - busy
            _remove(name)
    late.sort()
    result = {
        "followers": given.followers,
        "lines": seen[0],
        "everybody saw every line": set(seen) == {seen[0]} and len(seen) == given.followers,
        "p50_seconds": round(late[len(late) // 2], 3),
        "p99_seconds": round(late[len(late) * 99 // 100], 3),
        "max_seconds": round(late[-1], 3),
        "cpu_seconds": round(busy, 1),
        "rest_mb": at_rest >> 20,
        "peak_mb": max(peak) >> 20,
    }
    print(json.dumps(result, indent=2))


def _watch(process: psutil.Process, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.1):
        peak.append(process.memory_info().rss)


def _remove(name: str) -> None:
    engine = docker.from_env()
    for image in engine.images.list(filters={"label": f"org.binder.name={name}"}):
        engine.images.remove(image.id, force=True)
    engine.close()


if __name__ == "__main__":
    main()
