"""Settings of the build service that the environment completes."""

from __future__ import annotations

from pathlib import Path

import pytest

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
