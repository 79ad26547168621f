"""What steps print, made safe to show; BuildKit's records as events; failures as errors."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from binder_build.images.cgroup import StepGroups, StepLimits
from binder_build.images.enginejob import ClassicRecords
from binder_build.images.failures import Evidence, explain
from binder_build.images.progress import (
    MAX_LINE,
    Event,
    Failure,
    Line,
    LineSplitter,
    Note,
    Progress,
    Records,
    StepEnded,
    StepStarted,
    clean,
)
from binder_plan.dockerfile import NETWORK_CONTEXT
from binder_plan.recipe import Kind
from binder_protocol.errors import (
    BinderError,
    BuildStepFailed,
    DependencyFailed,
    EngineError,
    InvalidRepository,
    NoSpace,
    OutOfMemory,
)


def vertex(name: str, digest: str = "d", **facts: Any) -> dict[str, Any]:
    return {"vertexes": [{"digest": digest, "name": name, **facts}]}


def log(data: bytes, digest: str = "d") -> dict[str, Any]:
    return {"logs": [{"vertex": digest, "stream": 1, "data": base64.b64encode(data).decode()}]}


def play(*records: dict[str, Any], titles: dict[str, str] | None = None) -> list[Event]:
    progress = Progress(titles)
    events = [event for record in records for event in progress.events(record)]
    return [*events, *progress.close()]


START, END = "2026-11-23T13:59:15.295004239Z", "2026-11-23T13:59:16.795004239Z"


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=\x07copy", "copy"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x9b31mred", "red"),
        ("10%\r20%\r30%", "30%"),
        ("windows\r\n", "windows"),
        ("bell\x07 and \x08back", "bell and back"),
        ("right\u202eleft", "rightleft"),
        ("zero\u200bwidth", "zerowidth"),
        ("line\u2028separator", "lineseparator"),
        ("a\tb", "a   b"),
        ("nul\0byte", "nulbyte"),
        ("naïve 😀", "naïve 😀"),
    ],
)
def test_a_line_is_shown_as_plain_text(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text())
def test_no_line_moves_a_cursor_or_breaks_another_line(text: str) -> None:
    shown = clean(text)
    assert "\n" not in shown
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown) <= MAX_LINE + 2
    shown.encode()


@example([b"a\rb\r", b" "])
@given(st.lists(st.binary(max_size=50), max_size=20))
def test_lines_are_the_same_however_the_bytes_arrive(chunks: list[bytes]) -> None:
    def lines(pieces: list[bytes]) -> list[str]:
        splitter = LineSplitter()
        return [*(line for piece in pieces for line in splitter.feed(piece)), *splitter.end()]

    assert lines(chunks) == lines([b"".join(chunks)])


def test_a_character_may_be_cut_in_two() -> None:
    splitter = LineSplitter()
    data = "é\n".encode()
    assert [*splitter.feed(data[:1]), *splitter.feed(data[1:])] == ["é"]


def test_a_line_without_end_is_cut_and_a_flood_is_cut_off() -> None:
    splitter = LineSplitter(max_lines=10)
    found = list(splitter.feed(b"x" * (MAX_LINE * 3)))
    assert [len(line) for line in found[:2]] == [MAX_LINE, MAX_LINE]
    found += splitter.feed(b"y\n" * 1000)
    assert len(found) == 10
    assert "left out" in found[-1]


def test_a_progress_bar_leaves_its_last_state_alone() -> None:
    splitter = LineSplitter()
    found = [line for percent in range(500) for line in splitter.feed(f"\r{percent}%".encode())]
    assert found == []
    assert list(splitter.feed(b"\n")) == ["499%"]


# --- records --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_records_are_read_in_both_forms_and_in_any_pieces(indent: int | None, size: int) -> None:
    wanted = [vertex("one"), log(b"}\n{"), {"empty": {}}]
    data = "".join(json.dumps(each, indent=indent) + "\n" for each in wanted).encode() + b"ERROR: failed \x1b[1mhere\n"
    records = Records()
    assert [found for at in range(0, len(data), size) for found in records.feed(data[at : at + size])] == wanted
    assert records.words == ["ERROR: failed here"]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    records, progress = Records(), Progress()
    for record in records.feed(data + b"\n"):
        list(progress.events(record))


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_no_record_breaks_the_progress(value: object) -> None:
    for key in ("vertexes", "logs", "warnings"):
        play({key: value}, {key: [{"digest": value, "name": value, "vertex": value, "data": value, "started": value}]})  # type: ignore[dict-item]


def test_steps_start_print_and_end() -> None:
    name = "[stage-0 2/4] RUN --mount=type=cache,target=/x make  all"
    assert play(
        vertex(name),
        vertex(name, started=START),
        log(b"first\nsec"),
        log(b"ond\nlast"),
        vertex(name, started=START, completed=END),
    ) == [
        StepStarted("[2/4] RUN make all"),
        Line("[2/4] RUN make all", "first"),
        Line("[2/4] RUN make all", "second"),
        Line("[2/4] RUN make all", "last"),
        StepEnded("[2/4] RUN make all", "done", 1.5),
    ]


def test_steps_of_a_recipe_have_its_titles_and_cached_ones_say_so() -> None:
    events = play(
        vertex("[2/2] RUN --mount=x uv   pip install six", started=START, completed=START, cached=True),
        titles={"uv pip install six": "install requirements.txt"},
    )
    assert events == [StepStarted("install requirements.txt"), StepEnded("install requirements.txt", "cached")]


@pytest.mark.parametrize(
    "name", ["[internal] load metadata for docker.io/library/x:1", f"[context {NETWORK_CONTEXT}] load from client"]
)
def test_the_builders_own_errands_are_not_steps_unless_they_fail(name: str) -> None:
    began, said = vertex(name, started=START), log(b"here\n")
    assert play(began, said, vertex(name, started=START, completed=END)) == []
    progress = Progress()
    records = [began, said, vertex(name, started=START, completed=END, error="no")]
    events = [event for record in records for event in progress.events(record)]
    assert [type(each) for each in events] == [StepStarted, StepEnded]
    assert progress.failure == Failure(name, "no", ("here",))


def test_what_a_step_prints_is_never_an_event() -> None:
    line = json.dumps(vertex("fake", started=START))
    events = play(vertex("RUN x", started=START), log(f"{line}\ndata: x\nid: 9\n".encode()))
    assert [type(each) for each in events] == [StepStarted, Line, Line, Line]


def test_a_log_of_an_unknown_step_is_dropped_and_a_warning_is_a_note() -> None:
    short = base64.b64encode(b"careful\nmore").decode()
    assert play(log(b"x\n", "unknown"), {"warnings": [{"short": short}]}) == [Note("careful")]


def test_the_classic_builder_speaks_the_same_records() -> None:
    records = ClassicRecords()
    messages: list[dict[str, Any]] = [
        {"stream": "Step 1/2 : FROM x\n"},
        {"stream": " ---> Using cache\n"},
        {"stream": "Step 2/2 : RUN make\n"},
        {"stream": " ---> Running in abc\n"},
        {"stream": "made\n"},
        {"error": "The command returned a non-zero code: 2"},
    ]
    events = play(*(record for message in messages for record in records.convert(message)))
    assert events == [
        StepStarted("[1/2] FROM x"),
        StepEnded("[1/2] FROM x", "cached"),
        StepStarted("[2/2] RUN make"),
        Line("[2/2] RUN make", "made"),
        StepEnded("[2/2] RUN make", "failed", None, "The command returned a non-zero code: 2"),
    ]


# --- failures -------------------------------------------------------------------------------------------------------

EXIT = 'process "/bin/sh -c x" did not complete successfully: exit code: {}'
KINDS = {
    "install requirements.txt": Kind.DEPENDENCIES,
    "run postBuild": Kind.POST_BUILD,
    "install Debian packages": Kind.SYSTEM,
}

PARSE = "ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: X"
ABSENT = 'failed to compute cache key: failed to calculate checksum of ref x: "/a.txt": not found'

FAILURES: list[tuple[Failure | None, tuple[str, ...], bool, type[BinderError], str]] = [
    (
        Failure("install requirements.txt", EXIT.format(1), ("No solution found",)),
        (),
        False,
        DependencyFailed,
        "loosen",
    ),
    (
        Failure("install Debian packages", EXIT.format(100), ("E: Unable to locate package x",)),
        (),
        False,
        DependencyFailed,
        "apt.txt",
    ),
    (
        Failure("install requirements.txt", EXIT.format(1), ("error: gcc: command not found",)),
        (),
        False,
        DependencyFailed,
        "build-essential",
    ),
    (Failure("run postBuild", EXIT.format(3), ("oops",)), (), False, BuildStepFailed, "log"),
    (Failure("[2/3] RUN pip install x", EXIT.format(1), ()), (), False, DependencyFailed, "package"),
    (Failure("[2/3] RUN make", EXIT.format(2), ()), (), False, BuildStepFailed, "log"),
    (Failure("run postBuild", EXIT.format(137), ("Killed",)), (), True, OutOfMemory, "memory"),
    (Failure("run postBuild", EXIT.format(137), ()), (), False, OutOfMemory, "memory"),
    (Failure("run postBuild", EXIT.format(1), ("c++: fatal error: Killed signal",)), (), True, OutOfMemory, "memory"),
    (Failure("run postBuild", EXIT.format(1), ("No space left on device",)), (), False, NoSpace, "disk"),
    (Failure("exporting to image", "write /x: no space left on device", ()), (), False, NoSpace, "disk"),
    (None, ("ERROR: Cannot connect to the Docker daemon at unix:///x",), False, EngineError, "doctor"),
    (None, (PARSE,), False, InvalidRepository, "line"),
    (
        Failure("[internal] load metadata for docker.io/library/x:1", "dial tcp: lookup registry: no such host", ()),
        (),
        False,
        InvalidRepository,
        "binder-base",
    ),
    (
        Failure("[2/2] COPY a.txt /", ABSENT, ()),
        (),
        False,
        InvalidRepository,
        "commit a.txt",
    ),
    (Failure("[2/2] RUN x", "failed to create endpoint x on network bridge", ()), (), False, EngineError, "doctor"),
    (
        Failure("exporting to image", "failed to push r.example.org/own:1: unexpected status: 401 Unauthorized", ()),
        (),
        False,
        EngineError,
        "the login of the build service",
    ),
]


@pytest.mark.parametrize(("failure", "words", "limited", "expected", "suggestion"), FAILURES)
def test_a_failure_has_a_type_and_a_next_step(
    failure: Failure | None, words: tuple[str, ...], limited: bool, expected: type[BinderError], suggestion: str
) -> None:
    error = explain(Evidence(failure, words, KINDS, memory_limited=limited))
    assert type(error) is expected
    assert suggestion in " ".join(error.suggestions)
    if failure is not None:
        assert error.details["step"] == failure.step


@given(st.text(max_size=100), st.text(max_size=100), st.lists(st.text(max_size=50), max_size=5))
def test_every_failure_becomes_an_error(step: str, error: str, lines: list[str]) -> None:
    found = explain(Evidence(Failure(step, error, tuple(lines)), tuple(lines)))
    assert isinstance(found, BinderError)
    assert found.message


# --- limits of steps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unified", [True, False])
def test_limits_are_written_where_the_kernel_reads_them(tmp_path: Path, unified: bool) -> None:
    limits = StepLimits(memory=1000, cpus=1.5, pids=50)
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    else:
        for controller in ("memory", "cpu", "pids"):
            (tmp_path / controller).mkdir()
    groups = StepGroups(tmp_path)
    assert groups.enter(limits, builds=2) == "/binder-build"
    written = {
        place.name: place.read_text()
        for place in tmp_path.rglob("*/binder-build/*" if not unified else "binder-build/*")
    }
    if unified:
        assert written == {"memory.max": "2000", "memory.swap.max": "0", "cpu.max": "300000 100000", "pids.max": "100"}
        step = tmp_path / "binder-build/buildkit/one"
    else:
        assert written["memory.limit_in_bytes"] == "2000"
        assert written["cpu.cfs_quota_us"] == "300000"
        step = tmp_path / "memory/binder-build/buildkit/one"
    step.mkdir(parents=True)
    groups.apply(limits)
    assert (step / ("memory.max" if unified else "memory.limit_in_bytes")).read_text() == "1000"


def test_without_control_groups_there_is_no_limit_and_no_error(tmp_path: Path) -> None:
    groups = StepGroups(tmp_path / "none")
    assert groups.enter(StepLimits(memory=1), builds=1) is None
    groups.apply(StepLimits(memory=1))


def test_a_cache_of_other_hosts_that_is_not_there_is_no_failure() -> None:
    progress = Progress()
    name = "importing cache manifest from registry.example.org/cache/own:cache"
    events = list(progress.events(vertex(name, "c", started=START, completed=END, error="not found")))
    assert events == []
    (note,) = progress.events(vertex(name, "c", started=START, completed=END, error="connection refused"))
    assert isinstance(note, Note)
    assert note.text.endswith("connection refused")
    list(progress.events(vertex("RUN false", started=START, completed=END, error="exit code: 1")))
    assert progress.failure is not None
    assert progress.failure.step == "RUN false"
