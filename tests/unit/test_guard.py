"""The guard's judgement."""

from __future__ import annotations

import pytest

from binder_deploy.guard import REFUSED, Asked, application_in, judge
from tests.support.launches import ID

SECRET, PATH = "s3cret", f"/user/{ID}/lab"


def test_a_browser_keeps_the_token_in_a_cookie_of_this_path_and_goes_on_without_it() -> None:
    answer = judge(Asked(f"{PATH}?token={SECRET}&file=a%20b", browser=True, https=True), ID, SECRET)
    assert not answer.passed
    assert answer.redirect == f"{PATH}?file=a+b"
    cookie = f"binder-token={SECRET}; Path=/user/{ID}/; HttpOnly; SameSite=Lax; Secure"
    assert answer.headers["Set-Cookie"] == cookie


def test_over_plain_http_the_cookie_is_not_secure_for_it_would_be_lost() -> None:
    answer = judge(Asked(f"{PATH}?token={SECRET}", browser=True), ID, SECRET)
    assert answer.headers["Set-Cookie"].endswith("SameSite=Lax")
    assert answer.redirect == PATH


@pytest.mark.parametrize(
    "asked",
    [
        Asked(f"{PATH}?token={SECRET}"),
        Asked(f"{PATH}?token={SECRET}", method="POST", browser=True),
        Asked(PATH, cookie=f"binder-token={SECRET}"),
        Asked(PATH, cookie=f"binder-token=forged; binder-token={SECRET}"),
        Asked(PATH, authorization=f"token {SECRET}"),
        Asked(PATH, authorization=f"Bearer {SECRET}"),
    ],
)
def test_who_has_the_token_passes_and_the_application_does_not_see_it(asked: Asked) -> None:
    answer = judge(asked, ID, SECRET)
    assert answer.passed
    assert answer.headers == {}


def test_cookies_and_credentials_of_the_application_itself_are_passed_on() -> None:
    asked = Asked(PATH, cookie=f"a=1; binder-token={SECRET}; b=2", authorization="Basic eDp5")
    assert judge(asked, ID, SECRET).headers == {"Cookie": "a=1; b=2", "Authorization": "Basic eDp5"}


@pytest.mark.parametrize(
    "asked",
    [
        Asked(PATH),
        Asked(f"{PATH}?token="),
        Asked(f"{PATH}?token=S3CRET"),
        Asked(f"{PATH}?token=sécret"),
        Asked(f"{PATH}?token={'x' * 100_000}"),
        Asked(f"{PATH}?{'a&' * 40_000}token={SECRET}"),
        Asked(PATH, cookie="binder-token="),
        Asked(PATH, cookie=f"xbinder-token={SECRET}"),
        Asked(PATH, authorization=f"Basic {SECRET}"),
        Asked(PATH, authorization=SECRET),
    ],
)
def test_everybody_else_is_refused(asked: Asked) -> None:
    assert judge(asked, ID, SECRET) == REFUSED


def test_without_a_token_nothing_opens() -> None:
    assert judge(Asked(f"{PATH}?token="), ID, "") == REFUSED


@pytest.mark.parametrize(
    ("uri", "application"),
    [
        (f"/user/{ID}/", ID),
        (f"/user/{ID}/a//evil.example/?x=/user/b/", ID),
        (f"/user/{ID}", None),
        ("/user//x", None),
        ("/user/..%2f/x", None),
        ("//evil.example/user/x/", None),
        ("http://evil.example/user/x/", None),
        ("", None),
    ],
)
def test_the_application_is_read_from_the_path(uri: str, application: str | None) -> None:
    assert application_in(uri) == application


def test_the_redirect_stays_on_the_same_path() -> None:
    asked = Asked(f"/user/{ID}/../../..//evil.example?token={SECRET}", browser=True)
    redirect = judge(asked, ID, SECRET).redirect
    assert redirect is not None
    assert redirect.startswith(f"/user/{ID}/")


@pytest.mark.parametrize("browser", [True, False])
def test_where_nobody_can_be_sent_elsewhere_a_browser_keeps_the_token_and_goes_on(browser: bool) -> None:
    answer = judge(Asked(f"{PATH}?token={SECRET}", browser=browser, cookie="a=1", redirects=False), ID, SECRET)
    assert (answer.passed, answer.headers["Cookie"]) == (True, "a=1")
    assert ("Set-Cookie" in answer.headers) is browser
