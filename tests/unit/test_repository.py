"""Repositories as people paste them, and as attackers do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.sources.repository import Repository, check_ref, parse_repository
from binder_protocol.errors import BadRef, BadRepoSource, BinderError
from binder_protocol.names import is_name

GIST = "0123456789abcdef0123456789abcdef"

PASTED = [
    ("owner/repo", "https://github.com/owner/repo.git", None),
    ("github.com/owner/repo", "https://github.com/owner/repo.git", None),
    (" https://github.com/owner/repo ", "https://github.com/owner/repo.git", None),
    ("http://www.github.com/owner/repo", "https://github.com/owner/repo.git", None),
    ("https://GitHub.com/owner/repo.git", "https://github.com/owner/repo.git", None),
    ("https://github.com/owner/repo?tab=readme-ov-file#usage", "https://github.com/owner/repo.git", None),
    ("https://github.com/owner/repo/tree/main", "https://github.com/owner/repo.git", "main"),
    ("https://github.com/owner/repo/tree/fun%C3%A7%C3%A3o", "https://github.com/owner/repo.git", "função"),
    ("https://github.com/owner/repo/commit/" + "a" * 40, "https://github.com/owner/repo.git", "a" * 40),
    ("https://github.com/owner/repo/releases/tag/v1.0", "https://github.com/owner/repo.git", "v1.0"),
    ("git@github.com:owner/repo.git", "ssh://git@github.com/owner/repo.git", None),
    ("ssh://git@git.example.org:2222/owner/repo.git", "ssh://git@git.example.org:2222/owner/repo.git", None),
    ("https://gitlab.com/group/sub/repo/-/tree/main?ref_type=heads", "https://gitlab.com/group/sub/repo.git", "main"),
    ("https://git.example.org/group/tree/repo/-/tree/dev", "https://git.example.org/group/tree/repo", "dev"),
    ("https://bitbucket.org/owner/repo/src/main/", "https://bitbucket.org/owner/repo", "main"),
    ("https://codeberg.org/owner/repo/src/branch/main", "https://codeberg.org/owner/repo", "main"),
    (f"https://gist.github.com/owner/{GIST}", f"https://gist.github.com/owner/{GIST}", None),
    (f"https://gist.github.com/{GIST}", f"https://gist.github.com/{GIST}", None),
    ("https://git.example.org/~user/repo", "https://git.example.org/~user/repo", None),
    ("http://[2001:db8::1]:8080/repo.git", "http://[2001:db8::1]:8080/repo.git", None),
]


@pytest.mark.parametrize(("source", "url", "ref"), PASTED)
def test_what_people_paste_is_understood(source: str, url: str, ref: str | None) -> None:
    found = parse_repository(source)
    assert (found.url, found.ref) == (url, ref)


def test_an_explicit_ref_wins_over_the_pasted_one() -> None:
    assert parse_repository("https://github.com/o/r/tree/main", "v1").ref == "v1"


def test_a_pasted_ref_of_several_parts_may_end_in_a_subdirectory() -> None:
    assert parse_repository("https://github.com/o/r/tree/feature/x").ref_is_pasted
    assert not parse_repository("o/r", "feature/x").ref_is_pasted


HOSTILE = [
    "",
    "--upload-pack=touch /tmp/x",
    "-u/tmp/x",
    "--help",
    "-oProxyCommand=x",
    "ext::sh -c id",
    "ext::id",
    "fd::7",
    "transport::addr",
    "file:///etc",
    "/etc",
    "./here",
    "../..",
    "~/repo",
    "C:\\repo",
    "C:/repo",
    "git://example.org/repo",
    "ftp://example.org/repo",
    "ssh://-oProxyCommand=x/repo",
    "-oProxyCommand=x@host:repo",
    "git@-oProxyCommand=x:repo",
    "https://user:s3cr3t@example.org/repo",
    "https://s3cr3t@github.com/o/r",
    "ssh://git:s3cr3t@example.org/repo",
    "https://example.org/a\nb",
    "https://example.org/a\r\nSet-Cookie: x",
    "https://example.org/a\0b",
    "https://example.org/a b",
    "https://example.org/../x",
    "https://example.org/%2e%2e/x",
    "https://example.org/a%00b",
    "https://example.org/a%0ab",
    "https://example.org/a%2fb",
    "https://example.org/-repo",
    "https://example.org/",
    "https://example.org",
    "https://github.com/owner",
    "https://github.com/owner/repo/blob/main/x.ipynb",
    "https://example.org/repo?private_token=s3cr3t",
    "https://2130706433/repo",
    "https://0x7f.1/repo",
    "https://127.1/repo",
    "https://0177.0.0.1/repo",
    "https://[fe80::1%25eth0]/repo",
    "https://[::1/repo",
    "https://exa\u202emple.org/repo",
    "https://ex\u0430mple.org/repo",
    "https://example.org/re\u200bpo",
    "https://example.org:99999/repo",
    "https://" + "a" * 300 + ".org/repo",
    "o/" + "r" * 2_000,
    "https://github.com/o/r/tree/-u/tmp/x",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_what_is_no_repository_is_refused_and_not_repeated(source: str) -> None:
    with pytest.raises((BadRepoSource, BadRef)) as caught:
        parse_repository(source)
    assert caught.value.suggestions
    assert "s3cr3t" not in str(caught.value.body())


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=x",
        "-u/tmp/x",
        "--template=/tmp/t",
        "-c",
        "a b",
        "a\nb",
        "a\0b",
        "a..b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "@",
        "a@{1}",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.",
        "\u202ea",
        "a\u200b",
        "e\u0301",
        "x" * 256,
    ],
)
def test_a_ref_that_git_would_not_take_is_refused(ref: str) -> None:
    with pytest.raises(BadRef):
        check_ref(ref)


@pytest.mark.parametrize("subdir", ["..", "a/../..", ".git", "a/.GIT/x", "a\nb", "a\\b", "/", "x" * 501])
def test_a_subdirectory_outside_the_repository_is_refused(subdir: str) -> None:
    with pytest.raises(BadRepoSource):
        parse_repository("o/r", None, subdir)


def test_different_repositories_never_share_a_name() -> None:
    sources = [
        "a-b/c",
        "a/b-c",
        "https://gitlab.com/a/b-c",
        "https://git.example.org/a/b-c",
        "https://git.example.org/a/b-c.git",
        "https://git.example.org:8443/a/b-c",
        "http://git.example.org/a/b-c",
        "ssh://eve@git.example.org/a/b-c",
        "https://git.example.org/A/b-c",
    ]
    names = {parse_repository(source).name for source in sources}
    assert len(names) == len(sources)


def test_one_repository_has_one_name_however_it_is_spelled() -> None:
    spellings = ["o/r", "O/R", "https://github.com/o/r.git", "git@github.com:o/r.git", "http://www.github.com/o/r/"]
    assert {parse_repository(source).name for source in spellings} == {"o-r"}


@given(st.text(max_size=80), st.none() | st.text(max_size=40), st.none() | st.text(max_size=40))
def test_any_text_is_a_safe_repository_or_a_typed_error(source: str, ref: str | None, subdir: str | None) -> None:
    _is_safe(source, ref, subdir)


@given(
    st.sampled_from(["https://", "http://", "ssh://", "git@", "", "ext::", "file://"]),
    st.text(alphabet="abZ09.-_:@%[]/~#?", max_size=60),
    st.none() | st.text(alphabet="abZ0-./@{~^:é\u0301 \n", max_size=20),
)
def test_what_looks_like_an_address_is_safe_or_a_typed_error(scheme: str, rest: str, ref: str | None) -> None:
    _is_safe(scheme + rest, ref, None)


def _is_safe(source: str, ref: str | None, subdir: str | None) -> None:
    try:
        found = parse_repository(source, ref, subdir)
    except BinderError:
        return
    assert isinstance(found, Repository)
    assert found.url.startswith(("https://", "http://", "ssh://"))
    assert found.url.isascii()
    assert found.url.isprintable()
    assert "/../" not in found.url
    assert not found.host.startswith("-")
    assert found.ref is None or not found.ref.startswith("-")
    assert found.scheme == "ssh" or "@" not in found.url.split("/")[2]
    assert is_name(found.name)
    # What was understood is understood again as the same.
    assert parse_repository(found.url).url == found.url
