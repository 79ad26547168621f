"""Addresses of servers, as people type them."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from binder_protocol.errors import RequestError


def base_url(text: str) -> str:
    """`text` as a base URL without a slash at its end; `http://` where no scheme is given.

    Raises RequestError for what is no http(s) address, and for one with a user, query or fragment: a secret in an
    address ends up in logs.
    """
    text = text.strip()
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not text.isprintable() or " " in text:
        raise RequestError("this is no address of a server", suggestions=["give it as https://host or host:port"])
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise RequestError(
            "an address of a server holds no user, password, query or fragment",
            suggestions=["give it as https://host; the key goes in with `binder-client login`"],
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def path_part(value: str) -> str:
    """`value` as one part of a URL's path; raises RequestError where a path would lose it."""
    if value in ("", ".", ".."):
        raise RequestError(f"{value!r} names nothing")
    return quote(value, safe="")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its spelling."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
