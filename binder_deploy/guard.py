"""The guard: the front door asks it about every request to an application that doesn't check its token itself. Pure.

A browser brings the token in `?token=` once; it goes into a cookie that only this application's path sees, and out of
the address. Programs send it in each request, in the query or as `Authorization: token …`. Cookie and header are not
passed on to the application.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from binder_deploy.launches import base_path

NGINX_GUARD_PATH = "/guard/nginx"
"""Where nginx asks, with the id of the application behind. It says what was asked for in other headers than Traefik,
as it was sent: `/user/a/../b/` is of `b` to nginx, so what is asked for is not found in there. It redirects nobody."""

COOKIE = "binder-token"
_LONGEST = 512
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Asked:
    """One request as the front door describes it. `uri` is its path and query, as it was sent; `browser`: it asks for
    a page, and can be sent elsewhere unless the front door can't do that (`redirects`).
    """

    uri: str
    method: str = "GET"
    https: bool = False
    cookie: str = ""
    authorization: str = ""
    browser: bool = False
    redirects: bool = True


@dataclass(frozen=True)
class Answer:
    """`passed`: the request goes on, with `headers` in the place of its own ones of those names. `redirect`: a path."""

    passed: bool
    redirect: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


REFUSED = Answer(passed=False)


def application_in(uri: str) -> str | None:
    """The id in `/user/<id>/…`."""
    parts = urlsplit(uri).path.split("/", 3) if uri.startswith("/user/") else []
    return parts[2] if len(parts) == 4 and parts[2].isalnum() else None


def judge(asked: Asked, identity: str, secret: str) -> Answer:
    """Whether the request may reach application `identity`, whose token is `secret`."""
    path, _, query = asked.uri.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True) if len(query) <= 65_536 else []
    in_query = [value for name, value in pairs if name == "token"]
    if any(_same(value, secret) for value in in_query):
        if asked.browser and asked.method in _SAFE:
            return _keep_in_cookie(path, pairs, asked, identity, secret)
        return _pass_on(asked, secret)
    if any(_same(value, secret) for value in _tokens_in_cookies(asked.cookie)):
        return _pass_on(asked, secret)
    if _same(_token_in(asked.authorization), secret):
        return _pass_on(asked, secret)
    return REFUSED


def _keep_in_cookie(path: str, pairs: list[tuple[str, str]], asked: Asked, identity: str, secret: str) -> Answer:
    rest = urlencode([(name, value) for name, value in pairs if name != "token"])
    # The path begins with the application's own: `//host` and other schemes can't get here.
    target = path + (f"?{rest}" if rest else "")
    secure = "; Secure" if asked.https else ""
    cookie = f"{COOKIE}={secret}; Path={base_path(identity)}; HttpOnly; SameSite=Lax{secure}"
    if not asked.redirects:
        return Answer(passed=True, headers={**_pass_on(asked, secret).headers, "Set-Cookie": cookie})
    headers = {"Set-Cookie": cookie, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Answer(passed=False, redirect=target, headers=headers)


def _pass_on(asked: Asked, secret: str) -> Answer:
    headers = {}
    others = "; ".join(part for each in asked.cookie.split(";") if (part := each.strip()) and not _is_ours(part))
    if others:
        headers["Cookie"] = others
    if asked.authorization and not _same(_token_in(asked.authorization), secret):
        headers["Authorization"] = asked.authorization
    return Answer(passed=True, headers=headers)


def _is_ours(part: str) -> bool:
    return part.partition("=")[0].strip() == COOKIE


def _tokens_in_cookies(header: str) -> list[str]:
    """All values of our cookie: another application may have set one of that name for a longer path."""
    found = []
    for part in header.split(";"):
        if _is_ours(part):
            try:
                found += [morsel.value for morsel in SimpleCookie(part.strip()).values()]
            except CookieError:
                continue
    return found[:10]


def _token_in(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() in ("token", "bearer") else ""


def _same(given: str, secret: str) -> bool:
    return bool(secret) and len(given) <= _LONGEST and hmac.compare_digest(given.encode(), secret.encode())
