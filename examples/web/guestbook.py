"""A guest book that remembers its guests for as long as it runs."""

import html
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

BASE_PATH = os.environ.get("BINDER_BASE_PATH", "/")
PORT = int(os.environ.get("PORT", "8000"))
PAGE = """<!doctype html>
<title>Guest book</title>
<h1>Guest book</h1>
<ul>{entries}</ul>
<form method="post"><input name="entry" maxlength="200" required autofocus> <button>Sign</button></form>
"""


class GuestBook(BaseHTTPRequestHandler):
    """One page below the base path: GET shows the entries, POST adds one."""

    protocol_version = "HTTP/1.1"
    entries: list[str] = []

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != BASE_PATH:
            self.send_error(404)
            return
        page = PAGE.format(entries="".join(f"<li>{html.escape(entry)}</li>" for entry in self.entries))
        self._send(200, page.encode())

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 4_096)).decode())
        self.entries.extend(form.get("entry", []))
        del self.entries[:-100]
        self._send(303, b"", Location=BASE_PATH)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), GuestBook).serve_forever()  # noqa: S104
