"""Opening an application as a browser would: through the front door, with its token."""

from __future__ import annotations

import httpx2

from binder_protocol.errors import LaunchFailed


def open_page(location: str, *, seconds: float) -> None:
    """Raises LaunchFailed where the address doesn't answer 200 within `seconds`. The error never holds the token."""
    try:
        answer = httpx2.get(location, timeout=seconds, follow_redirects=True, trust_env=False)
    except httpx2.HTTPError as error:
        raise LaunchFailed(f"the application's address can't be opened: {type(error).__name__}") from error
    if answer.status_code != httpx2.codes.OK:
        raise LaunchFailed(f"the application's address answers {answer.status_code}")
