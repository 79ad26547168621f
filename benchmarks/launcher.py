"""Applications asked for one after the other, of a deploy service: benchmarks.plain_client's counterpart.

    BINDER_API_KEY=… python -m benchmarks.launcher URL TEMPLATE COUNT [--clients 16] [--max-age MILLISECONDS]

A process that does nothing else, over connections that stay open: who launches in earnest is on other machines. Prints
the moment of its monotonic clock when it began, then each application's id as soon as it is taken on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 120


class Asker:
    """One connection to a deploy service, until it is closed."""

    def __init__(self, url: str, key: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Lets go of the connection."""
        self._connection.close()

    def ask(self, method: str, path: str, body: object | None = None) -> Any:
        """The answer's value; an AssertionError where it is no good one."""
        self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text[:500]
        return json.loads(text)


def launch(url: str, key: str, clients: int, count: int, request: dict[str, Any]) -> None:
    """Launches so many, and prints."""
    numbers, lock = itertools.count(), threading.Lock()

    def work() -> None:
        with closing(Asker(url, key)) as asker:
            while True:
                with lock:
                    if next(numbers) >= count:
                        return
                identity = asker.ask("POST", "/applications", request)["id"]
                with lock:
                    print(identity, flush=True)

    print(time.monotonic(), flush=True)
    with ThreadPoolExecutor(clients) as pool:
        for each in [pool.submit(work) for _ in range(clients)]:
            each.result()


def main() -> None:
    """Launches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("template")
    parser.add_argument("count", type=int)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--max-age", type=int)
    given = parser.parse_args()
    request = {"template-name": given.template} | ({} if given.max_age is None else {"max-age": given.max_age})
    launch(given.url, os.environ["BINDER_API_KEY"], given.clients, given.count, request)


if __name__ == "__main__":
    main()
