"""A repository as people name it, understood: pure, without a look at the network.

Nothing that is refused here is repeated in the error: what looks like an address may hold a password.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from binder_plan.hosts import check_host
from binder_protocol.errors import BadRef, BadRepoSource
from binder_protocol.names import build_name

MAX_SOURCE, MAX_REF, MAX_SUBDIR = 1_000, 255, 500
_SCHEMES = ("https", "http", "ssh")
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
_FORGES = ("github.com", "gitlab.com", "bitbucket.org", "gist.github.com", "codeberg.org")
_SEGMENT = re.compile(r"[A-Za-z0-9._~+=,@][A-Za-z0-9._~+=,@-]*")
_SHORT = re.compile(r"[A-Za-z0-9_][\w.-]*/[\w.-]+", re.ASCII)
_SCP = re.compile(r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^:]+)", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][\w.-]{0,63}", re.ASCII)
_REF_ASCII = re.compile(r"[A-Za-z0-9._/+=,@#%&!()'-]")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

# What follows the repository in the address of a page: words, and how what comes after them names a ref.
_PAGES: tuple[tuple[str, ...], ...] = (
    ("-", "tree"),
    ("-", "commit"),
    ("-", "commits"),
    ("-", "tags"),
    ("src", "branch"),
    ("src", "commit"),
    ("src", "tag"),
    ("releases", "tag"),
    ("tree",),
    ("commit",),
    ("commits",),
    ("src",),
)
_MARKED_PAGES = tuple(words for words in _PAGES if len(words) == 2)
_FLAT_FORGES = ("github.com", "bitbucket.org", "codeberg.org")
_GIST = re.compile(r"[0-9a-f]{20,32}")


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository, and what of it to build.

    `url` is what git is given: no credential, query or fragment, its host in lower case. `path` is as written, without
    `.git`. `ref` is None for the default branch; one pasted as part of an address may still end in a
    subdirectory, which only the list of the repository's refs can tell (`ref_is_pasted`).
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str
    ref: str | None
    subdir: str | None
    display_name: str
    name: str
    ref_is_pasted: bool = False


def parse_repository(source: str, ref: str | None = None, subdir: str | None = None) -> Repository:
    """The repository that `source` names, with `ref` and `subdir` before those in the address itself.

    Raises `BadRepoSource` or `BadRef`, whose message says what to give instead.
    """
    text = _clean(source)
    scheme, user, host, port, segments = _split(text)
    segments, pasted = _page(host, segments)
    path = "/".join(segments)
    if path.endswith(".git"):
        path = path.removesuffix(".git")
        segments[-1] = segments[-1].removesuffix(".git")
    if not path or not segments[-1]:
        raise BadRepoSource("the address names a server, but no repository on it")
    if host in _FORGES and host != "gist.github.com" and len(segments) < 2:
        raise BadRepoSource(f"a repository on {host} is named by its owner and its name")
    given = check_ref(ref) if ref else None
    chosen = given or (check_ref(pasted) if pasted else None)
    where = check_subdir(subdir) if subdir else None
    dotted = _keeps_dot_git(host, text)
    shown_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    server = f"[{host}]{shown_port}" if ":" in host else f"{host}{shown_port}"
    login = f"{user}@" if user else ""
    return Repository(
        url=f"{scheme}://{login}{server}/{path}{'.git' if dotted else ''}",
        scheme=scheme,
        host=host,
        port=port,
        path=path,
        ref=chosen,
        subdir=where,
        display_name=path if host in _FORGES else f"{server}/{path}",
        name=build_name(_identity(scheme, login, server, dotted and host not in _FORGES), path, chosen, where),
        ref_is_pasted=given is None and chosen is not None and where is None and "/" in chosen,
    )


def check_ref(ref: str) -> str:
    """`ref` itself, where git would take it for the name of a branch or tag, or a commit; else `BadRef`."""
    if len(ref) > MAX_REF:
        raise BadRef(f"a ref has at most {MAX_REF} characters")
    if ref.startswith("-"):
        raise BadRef("a ref can't start with a hyphen: that would be an option")
    if not all(_REF_ASCII.match(c) or (ord(c) > 127 and unicodedata.category(c)[0] in "LN") for c in ref):
        raise BadRef(
            "a ref has letters, digits and plain punctuation alone: no spaces or control characters, or ~ ^ : ? * [ \\"
        )
    if not unicodedata.is_normalized("NFKC", ref):
        raise BadRef("a ref is spelled in composed (NFC), plain letters")
    wrong = (
        ".." in ref
        or "@{" in ref
        or ref == "@"
        or ref.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in ref.split("/"))
    )
    if wrong:
        raise BadRef("git takes no such name for a ref: see `git check-ref-format`")
    return ref


def check_subdir(subdir: str) -> str:
    """`subdir` as a plain relative path; None is the root."""
    parts = [part for part in subdir.strip("/").split("/") if part not in ("", ".")]
    if len(subdir) > MAX_SUBDIR or not parts or not subdir.isprintable() or "\\" in subdir:
        raise BadRepoSource("a subdirectory is a short relative path, such as notebooks/first")
    if any(part == ".." or part.lower() == ".git" for part in parts):
        raise BadRepoSource("a subdirectory lies inside the repository")
    return "/".join(parts)


def is_commit(ref: str) -> bool:
    """Whether `ref` is a whole commit id."""
    return _COMMIT.fullmatch(ref) is not None


def _clean(source: str) -> str:
    text = source.strip(" ")
    if not text:
        raise BadRepoSource("no repository is named")
    if len(text) > MAX_SOURCE:
        raise BadRepoSource(f"the address of a repository has at most {MAX_SOURCE} characters")
    if not text.isascii() or not text.isprintable() or any(c in " \\\"'`<>{}|^" for c in text):
        raise BadRepoSource("the address of a repository has no spaces, quotes, control or non-ASCII characters")
    if text.startswith("-"):
        raise BadRepoSource("the address of a repository can't start with a hyphen: that would be an option")
    return text


def _split(text: str) -> tuple[str, str | None, str, int, list[str]]:
    """Scheme, user, host, port and the segments of the path."""
    if "::" in text.partition("/")[0] and "[" not in text:
        raise BadRepoSource("a repository is reached over https or ssh alone, not through a helper program")
    if "://" not in text:
        text = _with_scheme(text)
    scheme = text.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise BadRepoSource("a repository is reached over https, http or ssh alone")
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS[scheme]
        user, secret, host = parts.username, parts.password, parts.hostname
    except ValueError:
        raise BadRepoSource("the address of the repository can't be read") from None
    if secret is not None or (user is not None and scheme != "ssh"):
        raise BadRepoSource(
            "the address holds a user or a password; nothing of it was kept",
            suggestions=(
                "give the address without them, and the secret as `credential`",
                "revoke it if it was a real one: addresses end in logs",
            ),
        )
    if user is not None and not _USER.fullmatch(user):
        raise BadRepoSource("the address holds no valid user")
    host = check_host((host or "").removeprefix("www."))
    if host in _FORGES and scheme == "http":
        scheme, port = "https", 443
    if (parts.query or parts.fragment) and host not in _FORGES:
        raise BadRepoSource("the address of a repository ends before any ? or #")
    return scheme, user or ("git" if scheme == "ssh" else None), host, port, _segments(parts.path)


def _with_scheme(text: str) -> str:
    """The URL that an address without a scheme stands for."""
    scp = _SCP.fullmatch(text)
    if scp:
        if scp["path"].startswith("/"):
            return f"ssh://{scp['user']}@{scp['host']}{scp['path']}"
        return f"ssh://{scp['user']}@{scp['host']}/{scp['path']}"
    first = text.partition("/")[0].lower()
    if first in _FORGES or first.removeprefix("www.") in _FORGES:
        return f"https://{text}"
    if _SHORT.fullmatch(text):
        return f"https://github.com/{text}"
    if "@" in first:
        raise BadRepoSource(
            "the address can't be read; over ssh it is user@host:owner/repo or ssh://user@host/owner/repo"
        )
    raise BadRepoSource("this is neither an address nor owner/repo; files of this machine can't be built")


def _segments(path: str) -> list[str]:
    try:
        segments = [unquote(raw, errors="strict") for raw in path.split("/") if raw]
    except UnicodeDecodeError:
        segments = [".."]
    if any(not segment.isprintable() or "/" in segment or segment in (".", "..") for segment in segments):
        raise BadRepoSource("the path of the repository can't be read")
    return segments


def _page(host: str, segments: list[str]) -> tuple[list[str], str | None]:
    """The repository's own segments, and the ref that the address of one of its pages names."""
    own, rest = _own(host, segments)
    if not all(_SEGMENT.fullmatch(segment) for segment in own):
        raise BadRepoSource("the path of a repository has letters, digits and . _ ~ + = , @ - alone")
    return own, "/".join(rest) or None


def _own(host: str, segments: list[str]) -> tuple[list[str], list[str]]:
    if host == "gist.github.com":
        cut = 2 if len(segments) > 1 and not _GIST.fullmatch(segments[0]) else 1
        return segments[:cut], [each for each in segments[cut : cut + 1] if is_commit(each)]
    for words in _PAGES if host in _FORGES else (*_MARKED_PAGES, ("tree",)):
        # Behind "-" a group's path may have any length; plain words count right after owner and name alone.
        places = range(1, len(segments)) if words[0] == "-" else (2,)
        for start in places:
            rest = segments[start + len(words) :]
            if tuple(segments[start : start + len(words)]) == words and rest:
                return segments[:start], rest
    if host in _FLAT_FORGES and len(segments) > 2:
        suggestion = f"give https://{host}/OWNER/NAME, or https://{host}/OWNER/NAME/tree/REF"
        raise BadRepoSource(f"this is a page of a repository on {host}, not the repository", suggestions=(suggestion,))
    return segments, []


def _keeps_dot_git(host: str, text: str) -> bool:
    """Whether git is given the path with `.git`: as it was written, or where the server would redirect otherwise."""
    return host in ("github.com", "gitlab.com") or re.split(r"[?#]", text)[0].rstrip("/").endswith(".git")


def _identity(scheme: str, login: str, server: str, dotted: bool) -> str:
    """What tells two servers' repositories of one path apart. https, and ssh as `git`, lead to the same one."""
    plain = scheme == "https" or (scheme == "ssh" and login == "git@")
    return (server if plain else f"{scheme}://{login}{server}") + (".git" if dotted else "")
