"""The tiny repository that the build check builds, and the routes that serve it to git.

It is made once, with fixed names and dates, so that every check builds the same commit and leaves no second image.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from binder_protocol.errors import Unavailable

PATH = "/binder/health-check.git"
_SECONDS = 30
_DATE = "2026-01-01T00:00:00Z"

_FILES = {
    "README.md": "Binder builds and launches this repository to see that it can.\n",
    "start": "#!/bin/sh\n# Instead of the command that comes as arguments.\nexec python3 serve.py\n",
    "serve.py": '''\
"""Answers every request with 200: enough to see that an application is there."""

import http.server
import os


class Here(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"here"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


port = int(os.environ.get("BINDER_PORT", "8888"))
http.server.ThreadingHTTPServer(("0.0.0.0", port), Here).serve_forever()
''',
}


class CheckRepository:
    """A bare repository in `directory`. A resource: start() makes it, where it isn't there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bare = directory / PATH.lstrip("/")

    def start(self) -> None:
        """Makes the repository. Raises Unavailable where git can't."""
        self._bare.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        entries = []
        for name, text in sorted(_FILES.items()):
            mode = "100755" if text.startswith("#!") else "100644"
            blob = self._git("hash-object", "-w", "--stdin", text=text)
            entries.append(f"{mode} blob {blob}\t{name}\n")
        tree = self._git("mktree", text="".join(entries))
        commit = self._git("commit-tree", tree, "-m", "Say that it is here")
        self._git("update-ref", "refs/heads/main", commit)

    def stop(self) -> None:
        """It stays for the next start."""

    def router(self) -> APIRouter:
        """What a git client asks for when it fetches. Nobody can push."""
        router = APIRouter()
        router.add_route(f"{PATH}/info/refs", self._serve, methods=["GET"], include_in_schema=False)
        router.add_route(f"{PATH}/git-upload-pack", self._serve, methods=["POST"], include_in_schema=False)
        return router

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._answer, request, body)

    def _answer(self, request: Request, body: bytes) -> Response:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_PROJECT_ROOT": str(self._directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.url.path,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        try:
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"git doesn't serve the repository: {type(error).__name__}") from error
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        return Response(content, status, headers)

    def _git(self, *arguments: str, text: str | None = None) -> str:
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self._bare,
                env={"PATH": os.environ.get("PATH", os.defpath), **_QUIET, **who},
                input=text or "",
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"git can't make the check's repository: {error}") from error
        return done.stdout.strip()


_WHO = {"NAME": "Binder", "EMAIL": "binder@localhost", "DATE": _DATE}
_QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_DIR": "."}
