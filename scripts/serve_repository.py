"""Serve one directory as a git repository over http: `serve_repository.py examples/notebook 127.0.0.1:8087`.

It has one commit, which is the same as long as the files are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_MOST_BYTES = 1 << 20
_SECONDS = 60
_GIT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Binder",
    "GIT_AUTHOR_EMAIL": "binder@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Binder",
    "GIT_COMMITTER_EMAIL": "binder@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}


def make_repository(source: Path, root: Path) -> None:
    """`root/<name>.git` with one commit of what is in `source`."""
    work = root / "work"
    shutil.copytree(source, work)
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", f"--message=Example {source.name}"),
        ("clone", "--quiet", "--bare", ".", str(root / f"{source.name}.git")),
    ):
        subprocess.run(["git", *arguments], cwd=work, env=_GIT, check=True, timeout=_SECONDS)


def make_handler(root: Path) -> type[BaseHTTPRequestHandler]:
    """Passes requests on to `git http-backend`."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._answer(self.rfile.read(min(length, _MOST_BYTES)))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Nobody asked."""

        def _answer(self, body: bytes) -> None:
            url = urlsplit(self.path)
            request = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            command = ["git", "http-backend"]
            done = subprocess.run(
                command, input=body, env=_GIT | request, capture_output=True, timeout=_SECONDS, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler


def main() -> None:
    source, (host, _, port) = Path(sys.argv[1]), sys.argv[2].partition(":")
    try:
        server = ThreadingHTTPServer((host, int(port)), BaseHTTPRequestHandler)
    except OSError as error:
        sys.exit(f"{host}:{port} can't be listened on: {error.strerror}")
    with tempfile.TemporaryDirectory(prefix="binder-example-") as name:
        make_repository(source, Path(name))
        server.RequestHandlerClass = make_handler(Path(name))
        server.serve_forever()


if __name__ == "__main__":
    main()
