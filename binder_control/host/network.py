"""How a build reaches package indexes: a company's CA, proxy and index, as this process was given them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_INDEX_VARIABLES = {
    "PIP_INDEX_URL": ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
    "UV_DEFAULT_INDEX": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"),
    "UV_INDEX": ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
}


@dataclass(frozen=True)
class BuildNetwork:
    """`ca` is a PEM bundle on this machine; `proxies` and `indexes` are variables with their values."""

    ca: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)

    @property
    def script(self) -> str:
        """Lines for the shell of a build step; a secret, since an index may have a password in its URL."""
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.indexes.items()))


def build_network(environ: Mapping[str, str]) -> BuildNetwork:
    """What the environment says; a CA file that doesn't exist is left out."""
    bundles = (Path(environ[name]) for name in _CA_VARIABLES if environ.get(name))
    proxies = {
        name: value for name in _PROXY_VARIABLES if (value := environ.get(name) or environ.get(name.lower()) or "")
    }
    indexes = {
        name: value
        for name, sources in _INDEX_VARIABLES.items()
        if (value := next((environ[source] for source in sources if environ.get(source)), ""))
    }
    return BuildNetwork(next((path for path in bundles if path.is_file()), None), proxies, indexes)
