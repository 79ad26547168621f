"""Names that are at once DNS labels, image names and template names; and those of builds, made from repositories."""

from __future__ import annotations

import base64
import hashlib
import re

MAX_LENGTH = 63
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_PLAIN_OWNER = re.compile(r"[a-z0-9]+")
_PLAIN_REPOSITORY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HASH_LENGTH = 10
_HASHED = re.compile(rf"(?:.*-)?[a-z2-7]{{{_HASH_LENGTH}}}")
_SHORT_COMMIT = 12
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_name(text: str) -> bool:
    """Whether `text` is a DNS label (RFC 1123), which Docker takes as an image name, too."""
    return _LABEL.fullmatch(text) is not None


def slug(text: str) -> str:
    """`text` as lower-case letters, digits and single hyphens, at most 63 of them; maybe empty. Not injective."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_LENGTH].rstrip("-")


def hashed(readable: str, *identity: str) -> str:
    """A name that starts with the slug of `readable` and ends with 50 bits of the hash of `identity`."""
    digest = hashlib.sha256("\0".join(identity).encode("utf-8", "surrogatepass")).digest()
    suffix = base64.b32encode(digest).decode().lower()[:_HASH_LENGTH]
    room = MAX_LENGTH - _HASH_LENGTH - 1
    stem = slug(readable)[:room].rstrip("-")
    return f"{stem}-{suffix}" if stem else f"r-{suffix}"


def build_name(host: str, path: str, ref: str | None = None, subdir: str | None = None) -> str:
    """The name of the build of a repository: two different ones never share it.

    `owner/repo` of github.com at its default branch is plain `owner-repo`, as in 2016, as long as this can be
    read back: an owner without hyphen, nothing that a hashed name could be. All others carry a short hash of
    host, path, ref and subdirectory. GitHub's owners and names know no case.
    """
    if host == "github.com":
        path = path.lower()
        owner, _, repository = path.partition("/")
        plain = f"{owner}-{repository}"
        if (
            ref is None
            and subdir is None
            and _PLAIN_OWNER.fullmatch(owner)
            and _PLAIN_REPOSITORY.fullmatch(repository)
            and len(plain) <= MAX_LENGTH
            and not _HASHED.fullmatch(plain)
        ):
            return plain
    shown = ref[:_SHORT_COMMIT] if ref is not None and _COMMIT.fullmatch(ref) else ref
    readable = "-".join(part for part in (path, shown, subdir) if part)
    return hashed(readable, host, path, ref or "", "" if ref is None else "ref", subdir or "")
