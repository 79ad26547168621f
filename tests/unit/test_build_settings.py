"""Settings of the build service that the environment completes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from binder_build.chosen_images import chosen_images
from binder_build.images.network import BuildNetwork
from binder_build.registry.builders import RemoteBuilders
from binder_build.settings import BuildSettings, completed


def test_what_other_programs_are_told_of_the_network_holds_for_builds(tmp_path: Path) -> None:
    settings = completed(
        BuildSettings.model_validate({"home": tmp_path, "api_key": "k"}),
        {"SSL_CERT_FILE": "/ca.pem", "PIP_INDEX_URL": "https://u:p@index/", "https_proxy": "http://proxy:3128"},
    )
    assert settings.ca_bundle == Path("/ca.pem")
    assert settings.index_url is not None
    assert settings.index_url.get_secret_value() == "https://u:p@index/"
    assert settings.https_proxy is not None
    assert settings.http_proxy is None
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "k"
    assert "u:p" not in repr(settings)


def test_a_setting_beats_the_environment(tmp_path: Path) -> None:
    given = BuildSettings.model_validate({"home": tmp_path, "ca_bundle": "/ours.pem"})
    assert completed(given, {"SSL_CERT_FILE": "/theirs.pem"}).ca_bundle == Path("/ours.pem")


def test_an_npm_registry_is_taken_from_npms_own_variable() -> None:
    given = BuildSettings.model_validate({"api_key": "k"})
    assert completed(given, {"NPM_CONFIG_REGISTRY": "https://npm.example/x/"}).npm_registry == "https://npm.example/x/"


@pytest.mark.parametrize("address", ["ftp://x", "https://me:secret@x/", "https://x/'; id", "https://x/ y"])
def test_an_npm_registry_is_an_address_without_a_password(address: str) -> None:
    with pytest.raises(ValueError, match=r"npm.registry"):
        BuildSettings.model_validate({"api_key": "k", "npm_registry": address})


@pytest.mark.parametrize("address", ["https://cran.example:8443/all", "http://[::1]:80/x", "http://198.18.0.1:3/cran"])
def test_a_mirror_is_an_address(address: str, tmp_path: Path) -> None:
    given = BuildSettings.model_validate({"home": tmp_path, "cran_mirror": address, "julia_mirror": address})
    assert (given.cran_mirror, given.julia_mirror) == (address, address)


@pytest.mark.parametrize(
    "address", ["cran", "file:///cran", "https://u:p@cran", 'https://a"b', "https://a b", "https://a/"]
)
def test_what_is_no_plain_address_is_no_mirror(address: str, tmp_path: Path) -> None:
    for name in ("cran_mirror", "julia_mirror"):
        with pytest.raises(ValidationError, match=name):
            BuildSettings.model_validate({"home": tmp_path, name: address})


IN_A_REGISTRY = {"images": "registry", "registry": "r.example.org/own", "base_image": "r.example.org/base:1"}


@pytest.mark.parametrize("more", [{"builder": "x"}, {"builders": ["tcp://b:1234"]}, {"builder_pods": 2}])
def test_images_in_a_registry_are_built_by_remote_builders(more: dict[str, object]) -> None:
    assert BuildSettings.model_validate(IN_A_REGISTRY | more).images == "registry"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (IN_A_REGISTRY, "says what builds"),
        (IN_A_REGISTRY | {"builder_pods": 1, "registry": None}, "names where they are pushed to"),
        (IN_A_REGISTRY | {"builder_pods": 1, "base_image": "binder-base:latest"}, "name in a registry"),
        ({"builder_pods": 1}, "set images = registry"),
        ({"builders": ["tcp://b:1234"]}, "set images = registry"),
        (IN_A_REGISTRY | {"builders": ["http://b"]}, "builders"),
        (IN_A_REGISTRY | {"builder_pods": 1, "builder_options": ["rootless"]}, "builder_options"),
    ],
)
def test_settings_that_lead_to_no_image_are_refused_at_the_start(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        BuildSettings.model_validate(given)


def test_builders_are_those_that_are_named_and_nothing_is_asked_before_the_start(tmp_path: Path) -> None:
    more = {"home": tmp_path, "builders": ["tcp://b:1234"], "builder_pods": 2, "registry_tls": False}
    settings = BuildSettings.model_validate(IN_A_REGISTRY | more)
    chosen = chosen_images(settings, tmp_path / "work", BuildNetwork())
    assert (chosen.environments, chosen.shared) == ("r.example.org/own/environment", None)
    (remote,) = [each for each in chosen.resources if isinstance(each, RemoteBuilders)]
    assert remote.names == ["binder-remote-0", "binder-builder-0", "binder-builder-1"]
    assert not chosen.store.shares_by_image
    assert [*tmp_path.iterdir()] == []
