"""Conda's channels and packages by their addresses: which a repository may name, and where they really are."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from binder_plan.recipe import PlanSettings
from binder_protocol.errors import BadRepoSource, InvalidRepository

ANACONDA = "https://conda.anaconda.org"
DEFAULT = f"{ANACONDA}/conda-forge"
_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}(?:/[A-Za-z0-9_][\w.-]{0,99}){0,4}", re.ASCII)
_URL = re.compile(r"https?://[\w.:\[\]-]{1,255}(?:/[\w.+~%-]{1,255}){0,20}/?", re.ASCII)
_TOKEN = re.compile(r"/t/[^/]+/")


def channel_urls(name: str, where: str, settings: PlanSettings) -> tuple[str, ...]:
    """The addresses of the channel that a repository names. Raises `InvalidRepository`, which says `where`."""
    if name == "defaults":
        return _DEFAULTS
    if name in ("nodefaults", "local"):
        return ()
    if _NAME.fullmatch(name):
        return (f"{ANACONDA}/{name}",)
    return (check_url(name, where, settings).rstrip("/"),)


def check_url(url: str, where: str, settings: PlanSettings) -> str:
    """`url`, where it may be read from. A password in it is never repeated."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise _refusal(where, "this is no valid address") from None
    if parts.username is not None or _TOKEN.search(parts.path) or parts.query:
        raise InvalidRepository(
            f"{where}: the address holds a password or token",
            suggestions=("take it out of the repository and make it void; name a public channel",),
        )
    if not _URL.fullmatch(url) or ".." in parts.path.split("/"):
        raise _refusal(where, "this is no address of a channel")
    try:
        allowed = settings.registry_allowed(host)
    except BadRepoSource:
        allowed = False
    if not allowed:
        raise InvalidRepository(
            f"{where}: {host} is not on the public internet",
            suggestions=("name a public channel", "operator: allow the host by `allow_hosts`"),
        )
    return url


def mirrors(settings: PlanSettings) -> dict[str, str]:
    """By the addresses that repositories mean, those that are asked in their stead."""
    mirror = settings.mirrors.get("conda")
    if mirror is None:
        return {}
    place = mirror.rstrip("/") + "/"
    return {f"{ANACONDA}/": place, "https://repo.anaconda.com/pkgs/": place}


def _refusal(where: str, what: str) -> InvalidRepository:
    return InvalidRepository(
        f"{where}: {what}", suggestions=("name a channel such as conda-forge, or its https:// address",)
    )
