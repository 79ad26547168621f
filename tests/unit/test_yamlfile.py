"""The one reader of YAML: plain values, bounded, with the line of what is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.conda.yamlfile import MAX_DEPTH, Text, parse_yaml
from binder_protocol.errors import InvalidRepository

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{now}: &{now} [{','.join(f'*{before}' for _ in range(10))}]\n"
    for before, now in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_scalars_are_text_with_their_line() -> None:
    found = parse_yaml("a: 3.10\nb:\n- yes\n- 'null'\n- ~\n-\n", "x.yml")
    assert found == {"a": "3.10", "b": ["yes", "null", None, None]}
    assert isinstance(found, dict)
    assert isinstance(found["a"], Text)
    assert found["a"].line == 1


def test_aliases_stand_for_what_they_name() -> None:
    assert parse_yaml("a: &x [1]\nb: *x\n", "x.yml") == {"a": ["1"], "b": ["1"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: !!python/name:os.system x\n", "line 2: the tag tag:yaml.org,2002:python/name:os.system"),
        ("a: !!str 1\n", "line 1: the tag"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice"),
        ("a: 1\n---\nb: 2\n", "line 2: there is a second document"),
        ("a: [1\nb: 2\n", "this is not valid YAML"),
        ("a: \x07\n", "this is not valid YAML"),
        ("a: *b\n", "line 1: this alias"),
        ("a: &a [*a]\n", "line 1: this alias"),
        ("? [a]\n: 1\n", "line 1: a key must be plain text"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "line 3: merge keys"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "line 1: this is nested too deeply"),
        (BOMB, "unfolds into too much"),
        ("[" * 100_000, "line 1: this is nested too deeply"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRepository) as caught:
        parse_yaml(text, "x.yml")
    assert says in caught.value.message
    assert caught.value.message.startswith("x.yml, line ")
    assert caught.value.suggestions


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRepository):
        parse_yaml(text, "x.yml")
