"""What the steps of one build get that nobody else may see; and how it is kept out of what they print. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, urlsplit

from binder_plan.dockerfile import secret_id

HIDDEN = "***"
_SHORTEST = 6
_WRAPPED = (64, 76)  # where openssl and base64 break their lines


@dataclass(frozen=True, slots=True)
class Index:
    """A package index that wants a login; `user` None: the secret is a token."""

    url: str
    user: str | None
    secret: str = field(repr=False)

    @property
    def login(self) -> str:
        """The address with the login in it."""
        parts = urlsplit(self.url)
        user = quote(self.user or "__token__", safe="")
        return parts._replace(netloc=f"{user}:{quote(self.secret, safe='')}@{parts.netloc}").geturl()


@dataclass(frozen=True, slots=True)
class BuildSecrets:
    """`values` are files at /run/secrets by their names, `indexes` are further package indexes.

    `scope`: whose build it is, as in the settings of its plan.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    scope: str = ""

    @property
    def empty(self) -> bool:
        return not self.values and not self.indexes

    def files(self) -> dict[str, bytes]:
        """The values by the ids that mounts name."""
        return {secret_id(name, self.scope): value.encode() for name, value in self.values.items()}

    def redactor(self) -> Redactor:
        """For what the steps print."""
        logins = [f"{each.user or '__token__'}:{each.secret}" for each in self.indexes.values()]
        return Redactor([*self.values.values(), *(each.secret for each in self.indexes.values()), *logins])


NO_SECRETS = BuildSecrets()


class Redactor:
    """Puts `***` in the place of secrets, as they are and in the encodings that programs print them in.

    Each line of a secret counts. What a step encodes in another way, or prints letter by letter, isn't recognised.
    """

    def __init__(self, secrets: list[str] | None = None) -> None:
        found = {form for secret in secrets or [] for form in _forms(secret) if len(form) >= _SHORTEST}
        self._forms = sorted(found, key=len, reverse=True)
        self.longest = max(map(len, self._forms), default=0)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text


NOTHING_SECRET = Redactor()


def _forms(secret: str) -> Iterator[str]:
    for line in {secret, *map(str.strip, secret.splitlines())}:
        yield line
        yield from (quote(line), quote(line, safe=""), quote_plus(line), _escaped(line))
        yield from _base64(line.encode())
    encoded = base64.b64encode(secret.encode()).decode()
    for width in _WRAPPED:
        yield from (encoded[at : at + width].rstrip("=") for at in range(0, len(encoded), width))


def _escaped(text: str) -> str:
    """As in JSON, without the quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _base64(data: bytes) -> Iterator[str]:
    """The characters that stand for `data` wherever it begins in what is encoded: there are three ways."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode()
        # A character that also stands for bits of what is around may be another one.
        start = -(-before * 8 // 6)
        end = (before + len(data)) * 8 // 6
        yield encoded[start:end]
        yield encoded[start:end].replace("+", "-").replace("/", "_")
