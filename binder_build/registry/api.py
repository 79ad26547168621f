"""Registries of images over HTTP, as the OCI distribution specification has it: here is all that knows their protocol.

httpx2 is known here alone in this package.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from binder_build.registry.logins import Logins
from binder_build.registry.manifests import MANIFESTS, Manifest, settings_of
from binder_build.registry.names import ImageName
from binder_protocol.errors import EngineError

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_MAX_BODY = 8 * 2**20
_SECONDS = 30.0
_MANY = 1_000


class RegistryApi:
    """Registries at any host; those of `plain` speak HTTP without TLS. Threads may share one.

    What can't be had is an `EngineError`; what isn't there is None.
    """

    def __init__(self, logins: Logins, *, plain: Collection[str] = (), ca: Path | None = None) -> None:
        """`ca`: a bundle of the authorities that are trusted, besides the system's own."""
        context = ssl.create_default_context()
        if ca is not None:
            context.load_verify_locations(ca)
        self._logins = logins
        self._plain = frozenset(plain)
        self._client = httpx2.Client(verify=context, timeout=_SECONDS, follow_redirects=True)
        self._lock = threading.Lock()
        self._passes: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()

    def ping(self, name: ImageName) -> None:
        """Raises EngineError where the image's registry doesn't answer."""
        self._asked("GET", name, "")

    def manifest(self, name: ImageName) -> Manifest | None:
        """The manifest of that version. One that isn't what its digest says is none."""
        answer = self._asked("GET", name, f"manifests/{name.version}", {"Accept": ", ".join(MANIFESTS)})
        if answer is None:
            return None
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        if name.is_digest and digest != name.version:
            raise EngineError(f"{name.host} answers with another image than {name.version}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        return Manifest(digest, kind, answer.content)

    def configuration(self, name: ImageName, digest: str) -> Mapping[str, Any]:
        """What the configuration of that digest says of an image's containers."""
        answer = self._asked("GET", name, f"blobs/{digest}")
        if answer is None or f"sha256:{hashlib.sha256(answer.content).hexdigest()}" != digest:
            raise EngineError(f"{name.host} doesn't have the configuration of {name}")
        return settings_of(answer.content)

    def has_blob(self, name: ImageName, digest: str) -> bool:
        """Whether that content is there."""
        return self._asked("HEAD", name, f"blobs/{digest}") is not None

    def put(self, name: ImageName, manifest: Manifest) -> None:
        """Gives the manifest, which the repository has, this tag."""
        self._asked("PUT", name, f"manifests/{name.version}", {"Content-Type": manifest.kind}, manifest.content)

    def tags(self, name: ImageName) -> list[str]:
        """The tags in the image's repository, the first thousand."""
        answer = self._asked("GET", name, f"tags/list?n={_MANY}")
        found = _object(answer.content).get("tags") if answer is not None else None
        return [str(each) for each in found or []][:_MANY]

    def delete(self, name: ImageName) -> bool:
        """Deletes that version; False where the registry lets nobody."""
        with self._translated(name):
            answer = self._sent("DELETE", name, f"manifests/{name.version}", {}, None)
        if answer.status_code in (400, 401, 403, 405):
            return False
        self._checked(answer, name)
        return True

    def _asked(
        self,
        method: str,
        name: ImageName,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> httpx2.Response | None:
        with self._translated(name):
            return self._checked(self._sent(method, name, path, headers or {}, body), name)

    def _sent(
        self, method: str, name: ImageName, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> httpx2.Response:
        """The answer, once the registry knows who asks."""
        address = f"{self._scheme(name)}://{name.host}/v2/{f'{name.repository}/{path}' if path else ''}"
        key = (name.host, name.repository if path else "")
        answer = self._once(method, address, {**headers, **self._pass(key)}, body)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code != 401 or not challenge:
            return answer
        found = self._answered(challenge, name)
        if found is None:
            return answer
        with self._lock:
            if len(self._passes) >= _MANY:
                self._passes.clear()
            self._passes[key] = found
        return self._once(method, address, {**headers, **self._pass(key)}, body)

    def _once(self, method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> httpx2.Response:
        """One request and its answer, of bounded length."""
        request = self._client.build_request(method, address, headers=dict(headers), content=body)
        answer = self._client.send(request, stream=True)
        try:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _MAX_BODY:
                    raise EngineError(f"{request.url.host} answers with more than {_MAX_BODY >> 20} MiB")
        finally:
            answer.close()
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_TRANSFER}
        return httpx2.Response(answer.status_code, headers=kept, content=bytes(content), request=answer.request)

    def _pass(self, key: tuple[str, str]) -> dict[str, str]:
        with self._lock:
            found = self._passes.get(key)
        return {} if found is None else {"Authorization": found}

    def _answered(self, challenge: str, name: ImageName) -> str | None:
        """What the header Authorization must say; None where nobody may ask."""
        kind, _, rest = challenge.partition(" ")
        login = self._logins.of(name.host)
        basic = None if login is None else login.basic
        if kind.lower() == "basic":
            return basic
        wanted = dict(_CHALLENGE.findall(rest))
        realm = wanted.pop("realm", "")
        if kind.lower() != "bearer" or not realm.startswith(("https://", f"{self._scheme(name)}://")):
            return None
        wanted = {key: value for key, value in wanted.items() if key in ("service", "scope")}
        address = str(httpx2.URL(realm).copy_merge_params(wanted))
        answer = self._once("GET", address, {} if basic is None else {"Authorization": basic}, None)
        if answer.status_code != 200:
            return None
        given = _object(answer.content)
        token = given.get("token") or given.get("access_token")
        return f"Bearer {token}" if token else None

    def _scheme(self, name: ImageName) -> str:
        return "http" if name.host in self._plain else "https"

    @contextmanager
    def _translated(self, name: ImageName) -> Iterator[None]:
        try:
            yield
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise EngineError(
                f"the registry {name.host} can't be reached: {error}"[:300],
                suggestions=("operator: see `registry`, `registry_tls` and `ca_bundle` of the build service",),
            ) from error

    def _checked(self, answer: httpx2.Response, name: ImageName) -> httpx2.Response | None:
        if answer.status_code == 404:
            return None
        if answer.status_code in (401, 403):
            raise EngineError(
                f"the registry {name.host} lets nobody at {name.repository} with the login of the build service",
                suggestions=("operator: put a login for it into the configuration of `docker_config`",),
            )
        if not answer.is_success:
            raise EngineError(f"the registry {name.host} answers {answer.status_code}")
        return answer


_OF_TRANSFER = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EngineError("the registry answers with what is no JSON object")
    return found
