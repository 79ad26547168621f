"""How builds reach package registries: CA bundle, index and proxies, as files that steps see and images don't keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from binder_build.secrets.build_secrets import Index
from binder_plan.dockerfile import CA_BUNDLE, index_secret_id


@dataclass(frozen=True)
class BuildNetwork:
    """Settings of this host's network. Secrets may be in `index_url` and `proxies`; they show up in no representation.

    `proxies`: `http`, `https` and `no` to the values of HTTP_PROXY, HTTPS_PROXY and NO_PROXY. `indexes`: those of one
    build, by name; they come before the one of the host, and a package that one of them has comes from there alone.
    """

    ca_bundle: Path | None = None
    index_url: str | None = field(default=None, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    npm_registry: str | None = None

    def with_indexes(self, indexes: Mapping[str, Index]) -> BuildNetwork:
        """The same for a build that has further indexes."""
        return replace(self, indexes=indexes)

    @property
    def ca(self) -> bool:
        return self.ca_bundle is not None

    @property
    def index(self) -> bool:
        return self.index_url is not None

    @property
    def index_secret(self) -> bool:
        """Whether the address of the host's own index holds a password."""
        return self.index_url is not None and "@" in self.index_url.partition("://")[2].partition("/")[0]

    def files(self) -> dict[str, bytes]:
        """The files of the named context that `dockerfile.network_mounts` mounts from.

        Raises `OSError` where the CA bundle can't be read.
        """
        files = {"ca.crt": self.ca_bundle.read_bytes()} if self.ca_bundle else {}
        if self.npm_registry:
            files["npm-registry"] = self.npm_registry.encode()
        return files if self._is_secret else {**files, **self._configuration()}

    def secrets(self) -> dict[str, bytes]:
        """The secrets of a build by their ids."""
        configuration = self._configuration() if self._is_secret else {}
        return {index_secret_id(name, self.indexes): content for name, content in configuration.items()}

    @property
    def _is_secret(self) -> bool:
        return self.index_secret or bool(self.indexes)

    def _configuration(self) -> dict[str, bytes]:
        wanted = self.ca or self.index or self.indexes
        return {"pip.conf": self._pip().encode(), "uv.toml": self._uv().encode()} if wanted else {}

    def proxy_arguments(self) -> dict[str, str]:
        """The build arguments that BuildKit knows and keeps out of images by itself."""
        return {f"{name.upper()}_PROXY": value for name, value in self.proxies.items() if value}

    def _pip(self) -> str:
        lines = ["[global]"]
        if self.ca:
            lines.append(f"cert = {CA_BUNDLE}")
        if self.index_url:
            lines.append(f"index-url = {self.index_url}".replace("\n", ""))
        if self.indexes:
            lines.append(f"extra-index-url = {' '.join(each.login for each in self.indexes.values())}")
        return "\n".join(lines) + "\n"

    def _uv(self) -> str:
        lines = ["system-certs = true"] if self.ca else []
        for each in self.indexes.values():
            lines += ["[[index]]", f"url = {json.dumps(each.login)}"]
        if self.index_url:
            lines += ["[[index]]", f"url = {json.dumps(self.index_url)}", "default = true"]
        return "\n".join(lines) + "\n"
