"""Text of servers on terminals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_client.text import clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 日本 👍", "plain ünï 日本 👍"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;Y2xpcA==\x1b\\text", "text"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x9b31mred", "red"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("10%\r20%\r\n", "20%"),
        ("a\x00b\x07\x08c\x7f", "abc"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("one\ntwo", "one two"),
        ("\x1b", ""),
        ("\x1b]0;never ended", ""),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_nothing_but_the_text_is_left(text: str, shown: str) -> None:
    assert clean(text).strip() == shown


@given(st.text(st.characters(codec=None), max_size=200))
def test_no_control_character_ever_passes(text: str) -> None:
    shown = clean(text)
    assert all(each == "\t" or (each >= " " and not "\x7f" <= each <= "\x9f") for each in shown)
    assert clean(shown) == shown
