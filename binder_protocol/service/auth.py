"""The check of the API key, in the three spellings that are taken."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from binder_protocol.errors import AccessError

_LONGEST = 2_048
_SCHEMES = (b"bearer", b"token")

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Caller:
    """Whether a request carries the key, and whether it speaks as 2016's client did: a key without a scheme word."""

    authorized: bool
    dialect_2016: bool


class KeyCheck:
    """Compares keys in constant time. Without a key (on loopback only) everybody is authorized."""

    def __init__(self, key: SecretStr | None) -> None:
        self._digest = None if key is None else _digest(key.get_secret_value().encode())

    def caller(self, headers: RawHeaders) -> Caller:
        """Reads the Authorization header. Raises AccessError where there are several, or one that is no key at all."""
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) > 1:
            raise AccessError("the request has several Authorization headers")
        if not given:
            return Caller(self._digest is None, dialect_2016=False)
        if len(given[0]) > _LONGEST:
            raise AccessError("the Authorization header is too long for a key")
        scheme, _, rest = given[0].strip().partition(b" ")
        has_scheme = bool(rest) and scheme.lower() in _SCHEMES
        key = rest.strip() if has_scheme else given[0].strip()
        matches = self._digest is None or hmac.compare_digest(self._digest, _digest(key))
        return Caller(matches, dialect_2016=not has_scheme)


def _digest(key: bytes) -> bytes:
    # Equal lengths on both sides, so that not even the key's length shows.
    return hashlib.sha256(key).digest()
