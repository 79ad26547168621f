"""Secrets of a build: what steps print of them is hidden, however it comes."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.images.network import BuildNetwork
from binder_build.images.progress import MAX_LINE, Line, LineSplitter, Progress
from binder_build.secrets.build_secrets import BuildSecrets, Index, Redactor

SECRET = "pa55/wörd+&more"
KEY = "-----BEGIN KEY-----\n" + "\n".join(f"{at:02d}" + "Qx7" * 20 for at in range(8)) + "\n-----END KEY-----\n"
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60)


def wrapped(text: str, width: int) -> str:
    encoded = base64.b64encode(text.encode()).decode()
    return "\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"x:{SECRET}".encode()).decode(),
        base64.b64encode(f"user:{SECRET} and more".encode()).decode(),
        f"http://user:{quote(SECRET, safe='')}@host/",
    ],
)
def test_a_secret_is_hidden_in_the_forms_that_programs_print(form: str) -> None:
    shown = Redactor([SECRET])(f"before {form} after")
    assert "***" in shown
    assert form not in shown
    assert shown.startswith("before")
    assert shown.endswith("after")


@pytest.mark.parametrize("printed", [KEY, KEY.replace("\n", "\r\n"), wrapped(KEY, 64), wrapped(KEY, 76)])
def test_a_secret_of_many_lines_is_hidden_line_by_line(printed: str) -> None:
    splitter = LineSplitter(redact=BuildSecrets({"key": KEY}).redactor())
    lines = [*splitter.feed(printed.encode()), *splitter.end()]
    assert lines
    assert all("***" in line for line in lines if len(line) > 5)
    assert "Qx7Qx7" not in "".join(lines)


@given(VISIBLE.map(lambda text: text + "Z"), st.integers(0, MAX_LINE + 100), st.lists(st.integers(1, 9_000)))
def test_no_border_between_pieces_lets_a_secret_through(secret: str, before: int, cuts: list[int]) -> None:
    if set(secret) <= {" ", ".", "*"}:
        return
    data = (" " * before + secret + "." * 50 + secret).encode()
    splitter = LineSplitter(redact=Redactor([secret]))
    lines, start = [], 0
    for cut in [*sorted(cuts), len(data)]:
        lines += splitter.feed(data[start:cut])
        start = max(start, cut)
    lines += splitter.end()
    shown = "".join(lines)
    assert secret not in shown
    assert shown.count("***") >= 2


def test_escapes_within_a_secret_do_not_bring_it_out() -> None:
    splitter = LineSplitter(redact=Redactor([SECRET]))
    assert list(splitter.feed(f"{SECRET[:4]}\x1b[0m{SECRET[4:]}\n".encode())) == ["***"]


def test_an_error_and_the_last_lines_of_a_failed_step_hide_it_too() -> None:
    progress = Progress(redact=Redactor([SECRET]))
    data = base64.b64encode(f"{SECRET}\n".encode()).decode()
    step = {"digest": "a", "name": "RUN x", "started": "1970-01-01T00:00:00Z"}
    events = list(progress.events({"vertexes": [step]}))
    events += progress.events({"logs": [{"vertex": "a", "data": data}]})
    events += progress.events({"vertexes": [{**step, "completed": "1970-01-01T00:00:00Z", "error": f"no {SECRET}"}]})
    assert Line("RUN x", "***") in events
    assert progress.failure is not None
    assert progress.failure.error == "no ***"
    assert progress.failure.lines == ("***",)
    assert SECRET not in repr(events)


def test_without_secrets_nothing_changes() -> None:
    assert Redactor()("abc") == "abc"
    assert Redactor(["a", "bc"])("abc") == "abc", "what is that short would hide half of the log"


def test_an_index_is_a_secret_file_of_its_own_name() -> None:
    index = Index("https://x.example.org/simple", "me@home", "p/w:d")
    network = BuildNetwork(index_url="https://host/simple").with_indexes({"lab": index})
    assert {name for name, _ in network.files().items()} == set()
    files = network.secrets()
    assert set(files) == {"binder-pip.conf+lab", "binder-uv.toml+lab"}
    login = "https://me%40home:p%2Fw%3Ad@x.example.org/simple"
    first, second = files["binder-uv.toml+lab"].decode().split("[[index]]")[1:]
    assert json.dumps(login) in first
    assert "default = true" in second
    assert f"extra-index-url = {login}" in files["binder-pip.conf+lab"].decode()
    assert "p/w:d" not in repr(network)
    assert "p%2Fw" not in repr(network)
