"""A real registry of images, over HTTP: what is there, who may ask, and names that go without their images."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from binder_build.registry.api import RegistryApi
from binder_build.registry.contents import RegistryContents
from binder_build.registry.images import RegistryImages
from binder_build.registry.logins import Logins
from binder_build.registry.names import ImageName
from binder_build.registry.pool import BuilderPool
from binder_protocol.errors import EngineError
from tests.support.image_registry import LOGIN, ImageRegistry, image_registry

pytestmark = pytest.mark.registry

KIND = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = {"config": {"Cmd": ["serve"], "ExposedPorts": {"8888/tcp": {}}, "User": "1000", "Labels": {"a": "b"}}}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with image_registry(tmp_path_factory.mktemp("registry") / "images") as registry:
        yield registry


@pytest.fixture
def api(registry: ImageRegistry, tmp_path: Path) -> Iterator[RegistryApi]:
    api = RegistryApi(Logins(tmp_path), plain=[registry.address])
    yield api
    api.close()
    registry.refused.clear()


@pytest.fixture
def images(registry: ImageRegistry, api: RegistryApi, tmp_path: Path) -> RegistryImages:
    def nobody(name: str) -> Any:
        raise AssertionError(name)

    return RegistryImages(
        tmp_path / "work",
        registry=f"{registry.address}/people",
        base=f"{registry.address}/base:1",
        contents=RegistryContents(api),
        pool=BuilderPool(["one"], lambda _: True),
        builder=nobody,
        environ={},
        plain=True,
    )


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def sent(
    url: str, method: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return dict(reply.headers)


def blob(registry: ImageRegistry, repository: str, content: bytes) -> dict[str, Any]:
    """Uploads it; how a manifest names it."""
    base = f"http://{registry.address}"
    place = sent(f"{base}/v2/{repository}/blobs/uploads/", "POST", b"")["Location"]
    place = place if place.startswith("http") else base + place
    sent(f"{place}&digest={digest_of(content)}", "PUT", content, {"Content-Type": "application/octet-stream"})
    return {"mediaType": "application/octet-stream", "digest": digest_of(content), "size": len(content)}


def pushed(registry: ImageRegistry, repository: str, *tags: str, config: object = CONFIG, layer: bytes = b"1") -> str:
    """Puts an image there under each tag; its digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": KIND,
        "config": blob(registry, repository, json.dumps(config).encode()),
        "layers": [blob(registry, repository, layer)],
    }
    content = json.dumps(manifest).encode()
    for tag in tags:
        sent(f"http://{registry.address}/v2/{repository}/manifests/{tag}", "PUT", content, {"Content-Type": KIND})
    return digest_of(content)


def test_an_image_is_described_by_its_configuration(registry: ImageRegistry, images: RegistryImages) -> None:
    digest = pushed(registry, "people/own", "1", layer=b"four")
    image = images.inspect(f"{registry.address}/people/own:1")
    assert image.id == f"{registry.address}/people/own@{digest}"
    assert (image.size, image.port, image.command, image.user, image.labels) == (
        4,
        8888,
        ("serve",),
        "1000",
        {"a": "b"},
    )
    assert images.inspect(image.id) == image
    assert images.exists(image.id)


def test_what_is_not_there_is_said(registry: ImageRegistry, images: RegistryImages) -> None:
    for name in (f"{registry.address}/people/none:1", f"{registry.address}/people/none@{digest_of(b'')}"):
        assert not images.exists(name)
        with pytest.raises(EngineError, match="gone from the registry"):
            images.inspect(name)
    assert not images.exists(digest_of(b"an engine's id"))
    with pytest.raises(EngineError, match="not in its registry"):
        images.base(f"{registry.address}/base:none")


def test_the_base_image_keeps_its_name_and_has_its_digest_for_an_id(
    registry: ImageRegistry, images: RegistryImages
) -> None:
    digest = pushed(registry, "base", "1")
    base = images.base(f"{registry.address}/base:1")
    assert (base.reference, base.id) == ("binder-base:latest", digest)


def test_of_several_platforms_the_one_of_this_machine_is_taken(registry: ImageRegistry, images: RegistryImages) -> None:
    wanted = pushed(registry, "people/many", "amd64", layer=b"amd64")
    other = pushed(registry, "people/many", "arm64", layer=b"arm64")
    listed = [
        {"mediaType": KIND, "digest": other, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
        {"mediaType": KIND, "digest": wanted, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    place = f"http://{registry.address}/v2/people/many/manifests/1"
    sent(place, "PUT", index, {"Content-Type": INDEX})
    assert images.inspect(f"{registry.address}/people/many:1").id.endswith(wanted)


def test_a_launch_is_promised_of_an_image_that_is_there_with_all_its_layers(
    registry: ImageRegistry, images: RegistryImages
) -> None:
    digest = pushed(registry, "people/whole", "1")
    name = f"{registry.address}/people/whole"
    assert images.push(f"{name}:1") == f"{name}@{digest}"
    registry.refused[f"/blobs/{digest_of(b'1')}"] = 404
    with pytest.raises(EngineError, match="lacks a layer"):
        images.push(f"{name}:1")


def test_a_name_goes_without_the_image_that_has_another_one(registry: ImageRegistry, images: RegistryImages) -> None:
    digest = pushed(registry, "people/two", "1", "2")
    images.remove(f"{registry.address}/people/two:1")
    assert images.exists(f"{registry.address}/people/two@{digest}")
    images.remove(f"{registry.address}/people/two@{digest}")
    assert images.exists(f"{registry.address}/people/two:2")


def test_an_image_goes_with_its_last_name_and_twice_is_once(registry: ImageRegistry, images: RegistryImages) -> None:
    name = f"{registry.address}/people/one:1"
    digest = pushed(registry, "people/one", "1")
    for _ in range(2):
        images.remove(name)
    assert not images.exists(name)
    assert not images.exists(f"{registry.address}/people/one@{digest}")


def test_an_image_is_given_another_name(registry: ImageRegistry, images: RegistryImages) -> None:
    digest = pushed(registry, "people/named", "1")
    name = f"{registry.address}/people/named"
    images.tag(f"{name}:1", f"{name}:2")
    assert images.inspect(f"{name}:2").id == f"{name}@{digest}"


@pytest.mark.parametrize("status", [401, 500])
def test_a_registry_that_refuses_is_told_apart_from_one_without_the_image(
    registry: ImageRegistry, images: RegistryImages, status: int
) -> None:
    registry.refused["/manifests/"] = status
    with pytest.raises(EngineError, match="lets nobody" if status == 401 else "answers 500"):
        images.exists(f"{registry.address}/people/own:1")


def test_a_registry_that_is_not_there_is_an_error_with_a_next_step(images: RegistryImages) -> None:
    with pytest.raises(EngineError, match="can't be reached") as raised:
        images.exists("127.0.0.1:9/people/own:1")
    assert "registry_tls" in raised.value.suggestions[0]


def test_a_login_is_that_of_the_configuration_and_shows_nowhere(tmp_path: Path) -> None:
    with image_registry(tmp_path / "images", login=True) as registry:
        api = RegistryApi(Logins(tmp_path), plain=[registry.address])
        name = ImageName(registry.address, "people/own", "1")
        with pytest.raises(EngineError, match="lets nobody") as raised:
            api.manifest(name)
        assert "docker_config" in raised.value.suggestions[0]
        word = base64.b64encode(":".join(LOGIN).encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": word}}}))
        assert api.manifest(name) is None
        assert api.manifest(name) is None
        api.close()


class _Strange(BaseHTTPRequestHandler):
    """A registry with tickets: whoever shows none is sent for one. It answers with what `answers` says."""

    answers: dict[str, tuple[int, bytes]] = {}
    asked: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        here = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        seen = self.headers.get("Authorization")
        self.asked.append((self.path, seen))
        status, body = self.answers.get(self.path.partition("?")[0], (404, b"{}"))
        if self.path.startswith("/v2/") and seen != "Bearer ticket":
            status, body = 401, b"{}"
        self.send_response(status)
        if status == 401:
            challenge = f'Bearer realm="{here}/token",service="strange",scope="repository:own:pull",user="x"'
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def strange(answers: dict[str, tuple[int, bytes]], folder: Path) -> Iterator[tuple[RegistryApi, ImageName]]:
    _Strange.answers, _Strange.asked = answers, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Strange)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    host = f"127.0.0.1:{server.server_port}"
    api = RegistryApi(Logins(folder), plain=[host])
    try:
        yield api, ImageName(host, "own", "1")
    finally:
        api.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_ticket_is_fetched_where_the_registry_says_and_used_again(tmp_path: Path) -> None:
    answers = {"/token": (200, b'{"token": "ticket"}')}
    with strange(answers, tmp_path) as (api, name):
        assert api.manifest(name) is None
        assert api.manifest(name) is None
    paths = [path for path, _ in _Strange.asked]
    assert len([path for path in paths if path.startswith("/token")]) == 1
    assert "/token?service=strange&scope=repository%3Aown%3Apull" in paths


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"layers": 1}', b"{}"])
def test_what_is_no_image_is_taken_for_none(tmp_path: Path, body: bytes) -> None:
    answers = {"/token": (200, b'{"token": "ticket"}'), "/v2/own/manifests/1": (200, body)}
    with strange(answers, tmp_path) as (api, name):
        manifest = api.manifest(name)
        assert manifest is not None
        with pytest.raises(EngineError, match="no image of that name"):
            _ = manifest.configuration


def test_another_image_than_the_digest_says_is_refused(tmp_path: Path) -> None:
    wanted = digest_of(b"wanted")
    answers = {"/token": (200, b'{"token": "ticket"}'), f"/v2/own/manifests/{wanted}": (200, b"{}")}
    with strange(answers, tmp_path) as (api, name), pytest.raises(EngineError, match="another image"):
        api.manifest(name.at(wanted))


def test_an_answer_without_end_is_cut_off(tmp_path: Path) -> None:
    answers = {"/token": (200, b'{"token": "ticket"}'), "/v2/own/manifests/1": (200, b" " * (9 * 2**20))}
    with strange(answers, tmp_path) as (api, name), pytest.raises(EngineError, match="more than 8 MiB"):
        api.manifest(name)
