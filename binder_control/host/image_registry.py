"""Whether the registry that images go to answers this machine."""

from __future__ import annotations

import http.client
import ssl
from contextlib import closing

from binder_protocol.findings import Finding, Verdict

_SECONDS = 5.0
_SPEAKS = frozenset({200, 401, 403})
_PORTS = {True: 443, False: 80}


def registry_finding(prefix: str, *, tls: bool) -> Finding:
    """One look at the registry of `prefix`, such as registry.example.org/binder."""
    place = prefix.partition("/")[0]
    name, _, port = place.partition(":")
    try:
        number = int(port) if port else _PORTS[tls]
        made: type[http.client.HTTPConnection] = http.client.HTTPSConnection if tls else http.client.HTTPConnection
        with closing(made(name, number, timeout=_SECONDS)) as connection:
            connection.request("GET", "/v2/")
            status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
        return Finding(
            "image registry", Verdict.FAILED, f"{place} doesn't answer: {why}",
            "see that it runs; registry-tls = false below [build] where it speaks plain HTTP",
        )  # fmt: skip
    if status not in _SPEAKS:
        what = f"{place} answers {status}: it is no registry of images"
        return Finding("image registry", Verdict.FAILED, what, "set registry below [build]")
    return Finding("image registry", Verdict.OK, f"{place} answers")
