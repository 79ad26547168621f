"""The machine's own apt sources, read and pointed at the next release."""

from __future__ import annotations

from pathlib import Path

from binder_control.host.apt import Source, of_suite, parse_lines, parse_stanzas, read_sources, retargeted

STANZAS = """\
# a remark
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://else.test/node
Suites: nodistro
Components: main

Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.test/debian
Suites: bookworm
Components: main
"""
LINES = """\
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.test/debian bookworm main  # with a remark
deb-src http://mirror.test/debian bookworm main
# deb http://off.test/debian bookworm main
deb http://mirror.test/debian bookworm-backports main
deb broken
"""


def test_stanzas_and_lines_are_read() -> None:
    assert parse_lines(LINES)[0] == Source(
        ("http://mirror.test/debian",), ("bookworm",), ("main",), "/usr/share/keyrings/a.gpg"
    )
    assert [source.uris[0] for source in parse_stanzas(STANZAS)] == [
        "http://mirror.test/debian",
        "http://mirror.test/security",
        "http://else.test/node",
    ]


def test_only_the_releases_own_suites_are_retargeted() -> None:
    newer = retargeted([*parse_stanzas(STANZAS), *parse_lines(LINES)], "bookworm", "trixie")
    assert [(source.uris[0], source.suites) for source in newer] == [
        ("http://mirror.test/debian", ("trixie", "trixie-updates")),
        ("http://mirror.test/security", ("trixie-security",)),
        ("http://mirror.test/debian", ("trixie",)),
    ]
    assert {source.components for source in newer} == {("main",)}


def test_a_stanza_survives_being_written_and_read() -> None:
    sources = of_suite(parse_stanzas(STANZAS), "bookworm")
    assert parse_stanzas("\n".join(source.stanza() for source in sources)) == sources


def test_files_of_both_kinds_are_read_and_others_left_out(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(STANZAS)
    (parts / "old.list").write_text("deb http://list.test/debian bookworm main\n")
    (parts / "old.list.disabled").write_text("deb http://disabled.test/debian bookworm main\n")
    found = {source.uris[0] for source in read_sources(tmp_path)}
    assert "http://list.test/debian" in found
    assert "http://mirror.test/debian" in found
    assert "http://disabled.test/debian" not in found


def test_a_machine_without_sources_has_none(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
