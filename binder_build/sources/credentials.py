"""A secret for one server, handed to git by its askpass program: never in an argument, an address or a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from binder_build.sources.repository import Repository
from binder_protocol.errors import RequestError

_TOKEN_USERS = {"github.com": "x-access-token", "gitlab.com": "oauth2", "bitbucket.org": "x-token-auth"}

# git asks "Username for 'https://host': " and "Password for 'https://user@host': ". Another host is told nothing.
_ASKPASS = """#!/bin/sh
case "$1" in
  "Username for '{server}': ") exec cat "${{0%/*}}/username" ;;
  "Password for '{login}': ") exec cat "${{0%/*}}/password" ;;
esac
exit 1
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a secret, which shows up in no representation."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, host: str) -> Credential:
        """From `user:password`, or a token alone. Raises `RequestError`, without repeating it."""
        if not text.isprintable() or not text.isascii():
            raise RequestError("a credential is a token, or user:password, in plain characters")
        user, separator, password = text.partition(":")
        if separator and user and password:
            return cls(user, password)
        return cls(_TOKEN_USERS.get(host, "x-access-token"), text)


def askpass(directory: Path, credential: Credential, repository: Repository) -> Path:
    """A program in the private `directory` that answers git's questions about the repository's server, no other's."""
    if not all(c.isalnum() or c in "._-@+" for c in credential.username):
        raise RequestError("the user of a credential has letters, digits and . _ - @ + alone")
    server = repository.url.split("/", 3)
    address = f"{server[0]}//{server[2]}"
    user = credential.username.replace("@", "%40").replace("+", "%2b")
    login = f"{server[0]}//{user}@{server[2]}"
    for name, text in (("username", credential.username), ("password", credential.password)):
        place = directory / name
        place.touch(0o600)
        place.write_text(f"{text}\n")
    program = directory / "askpass"
    program.touch(0o700)
    program.write_text(_ASKPASS.format(server=address, login=login))
    return program
