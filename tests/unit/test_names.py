"""Names of builds: DNS labels, readable where they can be, and never shared by two repositories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_protocol.names import build_name, hashed, is_name, slug

_PART = st.text(st.sampled_from("aAbBzZ019-_."), min_size=1, max_size=30) | st.text(min_size=1, max_size=60)
_HOST = st.sampled_from(["github.com", "gitlab.com", "git.example.org"])
_REPOSITORY = st.tuples(
    _HOST,
    st.builds("{}/{}".format, _PART, _PART),
    st.none() | _PART,
    st.none() | _PART,
)


def _identity(repository: tuple[str, str, str | None, str | None]) -> tuple[str, str, str | None, str | None]:
    host, path, ref, subdir = repository
    return host, path.lower() if host == "github.com" else path, ref, subdir


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("org/repo", "org-repo"),
        ("Org/Repo", "org-repo"),
        ("binder/example-requirements", "binder-example-requirements"),
    ],
)
def test_a_plain_github_repository_is_named_as_in_2016(path: str, name: str) -> None:
    assert build_name("github.com", path) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("github.com", "a-b/c"), ("github.com", "a/b-c")),
        (("github.com", "a/b"), ("gitlab.com", "a/b")),
        (("gitlab.com", "A/b"), ("gitlab.com", "a/b")),
        (("github.com", "a/b-main"), ("github.com", "a/b", "main")),
        (("github.com", "a/b", "x"), ("github.com", "a/b", None, "x")),
        (("github.com", "a/b", "x-y"), ("github.com", "a/b", "x", "y")),
        (("github.com", "a/b.c"), ("github.com", "a/b-c")),
        (("github.com", "a/é"), ("github.com", "a/e\u0301")),
    ],
)
def test_repositories_whose_slugs_collide_get_different_names(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert build_name(*one) != build_name(*other)


@given(_REPOSITORY)
def test_every_name_is_a_dns_label(repository: tuple[str, str, str | None, str | None]) -> None:
    assert is_name(build_name(*repository))


@given(_REPOSITORY, _REPOSITORY)
def test_two_repositories_never_share_a_name(
    one: tuple[str, str, str | None, str | None], other: tuple[str, str, str | None, str | None]
) -> None:
    assert (build_name(*one) == build_name(*other)) == (_identity(one) == _identity(other))


@given(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.from_regex(r"[a-c]{1,2}(-[a-c]{1,2}){0,2}", fullmatch=True))
def test_a_plain_name_is_never_one_that_a_hash_could_make(owner: str, repository: str) -> None:
    other = hashed(f"{owner}/{repository}", "anything")
    path = other.replace("-", "/", 1)
    assert build_name("github.com", path) != other


@given(st.text())
def test_a_slug_holds_only_what_a_label_may_hold(text: str) -> None:
    assert slug(text) == "" or is_name(slug(text))


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "é", "a\n", "../x", "a b"])
def test_what_is_no_label_is_no_name(text: str) -> None:
    assert not is_name(text)
