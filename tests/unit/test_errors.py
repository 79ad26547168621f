"""The tree of errors: every type survives the way over the wire, and the docstring draws the tree as it is."""

from __future__ import annotations

import re

import pytest

from binder_protocol import errors


@pytest.mark.parametrize("cls", list(errors.error_classes()), ids=lambda cls: cls.__name__)
def test_an_error_comes_back_as_it_was_raised(cls: type[errors.BinderError]) -> None:
    raised = cls("what happened", suggestions=["what to do"], details={"line": 3})
    returned = errors.error_from(raised.body(), cls.status)
    assert returned.type == cls.type
    assert returned.body() == raised.body()
    if cls.type != "out-of-memory":
        assert type(returned) is cls


def test_of_two_classes_of_one_type_the_status_decides() -> None:
    body = errors.ApplicationOutOfMemory().body()
    assert isinstance(errors.error_from(body, 500), errors.ApplicationOutOfMemory)
    assert isinstance(errors.error_from(body, 422), errors.OutOfMemory)


@pytest.mark.parametrize("body", [None, "Forbidden", [], {}, {"type": 3}, {"error": "x"}])
def test_an_answer_that_is_no_error_body_is_a_bad_response(body: object) -> None:
    assert isinstance(errors.error_from(body, 500), errors.BadResponse)


def test_an_unknown_type_is_a_plain_error_with_its_message() -> None:
    error = errors.error_from({"type": "of-a-newer-server", "error": "no"}, 500)
    assert type(error) is errors.BinderError
    assert error.message == "no"


def test_the_docstring_draws_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)\s+(\d+|\(no status\)|\S+)", errors.__doc__ or "")
    classes = {cls.__name__: cls for cls in errors.error_classes() if cls is not errors.BinderError}
    assert {name for name, _ in drawn} == set(classes)
    for name, status in drawn:
        if status.isdigit():
            assert classes[name].status == int(status), name
