"""The command line as a process: on a terminal, interrupted, with a reader that goes away, without POSIX modules."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import stub as wire
from tests.support.eventually import eventually
from tests.support.stub import Reply, Stub, event, log_line, stub_server

# Who runs the tests in the background may have them ignore SIGINT, and a child would inherit that.
_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
PROGRAM = [sys.executable, "-c", f"{_SIGINT}; from binder_client.cli import main; main()"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="posix: pseudo-terminals and signals")


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub_server() as stub:
        yield stub


@pytest.fixture
def environment(server: Stub, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SSL_CERT_FILE")}
    return {
        **kept,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BINDER_URL": server.url,
        "BINDER_API_KEY": "key",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }


@dataclass
class Terminal:
    """What a process wrote to its pseudo-terminal."""

    process: subprocess.Popen[bytes]
    ours: int
    written: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        return self.written.decode("utf-8", "replace")

    def ended(self) -> int:
        return self.process.wait(20)


@contextmanager
def terminal(
    arguments: list[str], environment: dict[str, str], *, columns: int = 100, rows: int = 30
) -> Iterator[Terminal]:
    """`binder-client` on a terminal of that size."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = Terminal(process, ours)

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not chunk:
                return
            shown.written += chunk

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield shown
        process.wait(20)
        reader.join(5)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _a_build(server: Stub, *, goes_on: bool = False) -> None:
    server.on("POST /builds", wire.build(status="running", phase="fetching"))
    server.on("GET /builds/owner-repo", wire.build())
    server.on("DELETE /builds/owner-repo", wire.build(status="cancelled"))

    def log() -> Iterator[bytes]:
        yield event(1, log_line(1, kind="phase", phase="building"))
        yield event(2, log_line(2, kind="step", step="RUN pip install", status="started"))
        yield event(3, log_line(3, "\x1b]0;owned\x07Collecting numpy"))
        if goes_on:
            server.stopping.wait(20)
        yield event(4, log_line(4, kind="step", step="RUN pip install", status="done", seconds=12.34))
        yield event(5, log_line(5, kind="end", status="completed"), "end")

    server.on("GET /builds/owner-repo/logs", Reply(chunks=log()))


def test_a_terminal_gets_live_steps_with_durations(server: Stub, environment: dict[str, str]) -> None:
    _a_build(server)
    with terminal(["build", "owner/repo"], environment) as shown:
        assert shown.ended() == 0
    plain = COLOURS.sub("", shown.text)
    assert "✓ RUN pip install  12.3 s" in plain
    assert "✓ building" in plain
    assert "owner/repo at aaaaaaaaaaaa built" in plain
    assert "\x1b]0;" not in shown.text
    assert "\x1b[?25h" in shown.text, "the cursor must be shown again"
    assert COLOURS.search(shown.text)


def test_a_long_list_of_steps_is_shown_by_its_end_while_it_grows(server: Stub, environment: dict[str, str]) -> None:
    _a_build(server)

    def log() -> Iterator[bytes]:
        for number in range(1, 60):
            yield event(number, log_line(number, kind="step", step=f"step-{number:02}", status="started"))
        server.stopping.wait(1)
        yield event(60, log_line(60, kind="end", status="completed"), "end")

    server.on("GET /builds/owner-repo/logs", Reply(chunks=log()))
    with terminal(["build", "owner/repo"], environment, rows=8) as shown:
        eventually(lambda: "step-59" in shown.text, within=20, what="the newest step")
        assert "step-01" not in shown.text.split("step-59")[0][-600:]
        assert shown.ended() == 0
    assert "step-01" in shown.text.rpartition("step-59")[0], "in the end all of them are there"


def test_no_color_means_none(server: Stub, environment: dict[str, str]) -> None:
    _a_build(server)
    with terminal(["build", "owner/repo"], {**environment, "NO_COLOR": "1"}) as shown:
        assert shown.ended() == 0
    styles = {style for style in COLOURS.findall(shown.text) if re.search(r"\b(3[0-7]|9[0-7]|4[0-7])\b", style)}
    assert not styles
    assert "12.3 s" in shown.text


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 1), (12, 3)])
def test_a_terminal_without_a_size_is_no_trouble(
    server: Stub, environment: dict[str, str], columns: int, rows: int
) -> None:
    _a_build(server)
    with terminal(["build", "owner/repo"], environment, columns=columns, rows=rows) as shown:
        assert shown.ended() == 0
    assert "Traceback" not in shown.text


@pytest.mark.parametrize("arguments", [["build", "owner/repo", "--plain"], ["build", "owner/repo"]])
def test_plain_lines_come_when_asked_and_on_a_dumb_terminal(
    server: Stub, environment: dict[str, str], arguments: list[str]
) -> None:
    _a_build(server)
    if "--plain" not in arguments:
        environment["TERM"] = "dumb"
    with terminal(arguments, environment) as shown:
        assert shown.ended() == 0
    assert "   Collecting numpy\r\n" in shown.text
    assert "\x1b" not in shown.text


def test_the_key_is_asked_for_without_an_echo(server: Stub, environment: dict[str, str], tmp_path: Path) -> None:
    server.on("GET /builds", Reply([]))
    with terminal(["login", server.url], environment) as shown:
        # The blank behind the colon is written when the echo is off; what is typed before it is thrown away.
        eventually(lambda: shown.text.endswith(": "), within=20, what="the question for the key")
        os.write(shown.ours, b"s3cret-key\n")
        assert shown.ended() == 0
    assert "s3cret-key" not in shown.text
    assert server.seen[0].headers["authorization"] == "Bearer s3cret-key"
    assert (tmp_path / "config" / "binder" / "client.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cancels", [False, True])
def test_ctrl_c_leaves_the_build_running_or_cancels_it(
    server: Stub, environment: dict[str, str], cancels: bool
) -> None:
    _a_build(server, goes_on=True)
    arguments = ["build", "owner/repo", *(["--cancel-on-interrupt"] if cancels else [])]
    with terminal(arguments, environment) as shown:
        eventually(lambda: "Collecting numpy" in shown.text, within=20, what="the log")
        shown.process.send_signal(signal.SIGINT)
        assert shown.ended() == 130
    methods = [seen.method for seen in server.seen]
    assert ("DELETE" in methods) == cancels
    assert ("binder-client logs owner-repo --follow" in shown.text) == (not cancels)
    assert ("binder-client cancel owner-repo" in shown.text) == (not cancels)
    assert "Traceback" not in shown.text


def test_ctrl_c_anywhere_else_is_quiet(server: Stub, environment: dict[str, str]) -> None:
    asked = threading.Event()

    def never() -> Iterator[bytes]:
        asked.set()
        server.stopping.wait(20)
        yield b""

    server.on("GET /applications", Reply(chunks=never()))
    process = _piped(["fetch"], environment)
    assert asked.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_causes_no_noise(server: Stub, environment: dict[str, str]) -> None:
    many = [wire.application(f"id-{number}") for number in range(3_000)]
    server.on("GET /applications", Reply(many, headers={"X-Total-Count": "3000"}))
    process = _piped(["fetch"], environment)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"APPLICATION")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(20) in (0, 1)
    process.stderr.close()


def test_a_log_line_that_the_terminal_cannot_show_ends_no_command(server: Stub, environment: dict[str, str]) -> None:
    server.on("GET /templates", [wire.template(image="日本")])
    environment |= {"PYTHONIOENCODING": "ascii", "LANG": "C"}
    process = _piped(["templates"], environment)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert b"owner-repo" in out


_WITHOUT_POSIX = """
import os, sys
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
    delattr(os, name)
HIDDEN = {"fcntl", "termios", "pwd", "grp", "resource", "tty", "pty", "syslog", "spwd", "crypt", "nis", "readline"}
for name in HIDDEN:
    sys.modules.pop(name, None)
class Hider:
    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hider())
from binder_client.cli import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "Usage"),
        (["login", "{url}", "--key-stdin"], "takes the key"),
        (["build", "owner/repo"], "owner/repo at"),
        (["api", "build", "status", "owner-repo"], "completed"),
        (["plan", "{folder}"], "requirements.txt names Python packages"),
    ],
)
def test_no_posix_module_is_on_the_clients_way(
    server: Stub, environment: dict[str, str], tmp_path: Path, arguments: list[str], shown: str
) -> None:
    _a_build(server)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "requirements.txt").write_text("six\n")
    server.on("GET /builds", Reply([]))
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_POSIX, *(each.format(url=server.url, folder=folder) for each in arguments)],
        env=environment,
        input="s3cret\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert shown in ran.stdout + ran.stderr


def test_importing_the_command_line_loads_neither_http_nor_models() -> None:
    heavy = ("httpx2", "pydantic", "rich", "stamina", "platformdirs", "asyncio")
    script = f"import sys, binder_client.cli; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_foreign_certificate_is_refused_until_its_ca_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    with _tls_server(tmp_path) as (url, certificate):
        environment["BINDER_URL"] = url
        process = _piped(["health"], environment | {"SSL_CERT_FILE": ""})
        _, err = process.communicate(timeout=30)
        assert process.returncode == 5
        assert b"SSL_CERT_FILE" in err
        process = _piped(["health"], environment | {"SSL_CERT_FILE": str(certificate)})
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        environment["BINDER_URL"] = url.replace("127.0.0.1", "localhost")  # not in the certificate
        process = _piped(["health"], environment | {"SSL_CERT_FILE": str(certificate)})
        assert process.wait(30) == 5
        process.communicate()


def _piped(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def _tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    import ssl
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    openssl = shutil.which("openssl")
    assert openssl, "this test makes a certificate with openssl, which comes with ca-certificates"
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=binder test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30
    )

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # handshakes fail here on purpose

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
