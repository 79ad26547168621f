"""A real git server on the loopback: `git http-backend` behind a small threaded HTTP server, with switches."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass
class ServedRepository:
    """A repository on the server, and the working copy from which tests commit into it."""

    url: str
    work: Path
    bare: Path

    def git(self, *arguments: str, text: str | None = None) -> str:
        """git in the working copy."""
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.work,
            env={**os.environ, **_IDENTITY},
            input=text,
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change", date: str | None = None) -> str:
        """Writes (None: removes) the files, executable where they start with `#!`, commits, publishes; the commit."""
        for name, content in files.items():
            place = self.work / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            place.write_bytes(data)
            place.chmod(0o755 if data.startswith(b"#!") else 0o644)
        self.git("add", "--all", "--force")
        when = ("--date", date) if date else ()
        self.git("commit", "--quiet", "--allow-empty", "--message", message, *when)
        return self.publish()

    def publish(self) -> str:
        """Publishes every branch and tag; the commit that is checked out."""
        self.git("push", "--quiet", "--force", "--all", str(self.bare))
        self.git("push", "--quiet", "--force", "--tags", str(self.bare))
        return self.git("rev-parse", "HEAD")

    def index(self, mode: str, path: str, content: str) -> None:
        """Puts an entry into the index that no file system would take: a link anywhere, a strange name."""
        blob = self.git("hash-object", "-w", "--stdin", text=content) if mode != "160000" else content
        self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")


def create_repository(
    root: Path, url: str, path: str, files: Mapping[str, str | bytes | None] | None
) -> ServedRepository:
    """A repository at `<path>.git` below `root`, which a server serves at `url`; see `GitServer.create`."""
    bare, work = root / f"{path}.git", root / "work" / path
    work.mkdir(parents=True)
    for arguments in (
        ["init", "--quiet", "--bare", "-b", "main", str(bare)],
        ["init", "--quiet", "-b", "main", str(work)],
    ):
        subprocess.run(["git", *arguments], check=True, timeout=30, env={**os.environ, **_IDENTITY})
    repository = ServedRepository(f"{url}/{path}.git", work, bare)
    if files is not None:
        repository.commit(files, "first")
    return repository


@dataclass
class GitServer:
    """The server and its switches. Paths are those of URLs, such as `/owner/repo.git`; a rule holds for all below it.

    `redirects`: where a path's requests are sent, by prefix; `hanging`: paths that never answer; `trickling`: paths
    that answer one byte a second; `passwords`: path → (user, password); `requests`: every path that was asked for.
    """

    url: str
    root: Path
    redirects: dict[str, str] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    trickling: set[str] = field(default_factory=set)
    passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def create(self, path: str, files: Mapping[str, str | bytes | None] | None = None) -> ServedRepository:
        """A repository at `/<path>.git` with branch main; with a first commit where `files` are given."""
        return create_repository(self.root, self.url, path, files)

    def rule(self, rules: Mapping[str, object] | set[str], path: str) -> str | None:
        """The longest prefix of `path` in `rules`."""
        return max((prefix for prefix in rules if path.startswith(prefix)), key=len, default=None)


@contextmanager
def git_server(root: Path) -> Iterator[GitServer]:
    """Serves the repositories below `root` on a free port of the loopback until the block ends."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    server = GitServer(f"http://127.0.0.1:{http.server_address[1]}", root)
    http.git_server = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass

    def _answer(self) -> None:
        server: GitServer = self.server.git_server  # type: ignore[attr-defined]
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        server.requests.append(self.path)
        with suppress(BrokenPipeError, ConnectionResetError):
            if server.rule(server.hanging, path):
                server.closing.wait(120)
                self.close_connection = True
            elif server.rule(server.trickling, path):
                self._trickle(server)
            elif not self._allowed(server, path):
                self._short(401, {"WWW-Authenticate": 'Basic realm="git"'})
            elif (prefix := server.rule(server.redirects, path)) is not None:
                rest = f"{path.removeprefix(prefix)}?{query}" if query else path.removeprefix(prefix)
                self._short(302, {"Location": server.redirects[prefix].replace("{rest}", rest)})
            else:
                self._backend(server, path, query)

    def _trickle(self, server: GitServer) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not server.closing.wait(1):
            self.wfile.write(b"x")

    def _allowed(self, server: GitServer, path: str) -> bool:
        prefix = server.rule(server.passwords, path)
        if prefix is None:
            return True
        expected = base64.b64encode(":".join(server.passwords[prefix]).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _short(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _backend(self, server: GitServer, path: str, query: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=self._body(), env=environment, capture_output=True, timeout=120
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
