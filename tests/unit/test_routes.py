"""Addresses of applications, and the front door's own configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from binder_control import frontdoor
from binder_control.certificate import ensure_certificate
from binder_deploy import activity, routes
from tests.support.launches import ID


def test_a_location_carries_the_token_where_there_is_one() -> None:
    assert routes.location("https://b.example", ID, "a&b") == f"https://b.example/user/{ID}/?token=a%26b"
    assert routes.location("https://b.example", ID, "") == f"https://b.example/user/{ID}/"


@pytest.mark.parametrize(
    ("router", "application"),
    [(f"binder-{ID}@file", ID), (f"binder-{ID}@docker", None), ("api-build@file", None), ("other@docker", None)],
)
def test_routers_of_applications_are_known_by_name_and_provider(router: str, application: str | None) -> None:
    assert routes.application_of(router) == application


def test_the_services_are_carried_by_path_and_only_their_operations() -> None:
    config = json.loads(frontdoor.dynamic_config({"deploy": "http://d", "build": "http://b"}))["http"]
    assert {name: each["rule"] for name, each in config["routers"].items()} == {
        "api-build": "PathRegexp(`^/(builds|plans|credentials)(/|$)`)",
        "api-deploy": "PathRegexp(`^/(applications|preload|capacity)(/|$)`)",
        "applications": "PathPrefix(`/user/`)",
    }
    assert config["services"]["binder-build"] == {"loadBalancer": {"servers": [{"url": "http://b"}]}}


def test_a_certificate_is_made_once_and_named_where_there_is_one(tmp_path: Path) -> None:
    file = ensure_certificate(tmp_path / "door.pem")
    assert file is not None
    assert file.stat().st_mode & 0o777 == 0o600
    made = file.read_text()
    assert {"BEGIN CERTIFICATE", "BEGIN PRIVATE KEY"} <= set(re.findall(r"BEGIN [A-Z ]+[A-Z]", made))
    assert ensure_certificate(file) == file
    assert file.read_text() == made
    config = json.loads(frontdoor.dynamic_config({"deploy": "http://d"}, file))
    assert config["tls"]["stores"]["default"]["defaultCertificate"] == {"certFile": str(file), "keyFile": str(file)}


def test_every_middleware_that_a_route_names_is_there() -> None:
    config = json.loads(frontdoor.dynamic_config({"deploy": "http://d"}))["http"]
    assert {f"{name}@file" for name in config["middlewares"]} == {routes.PAGES, routes.GUARD, routes.STRIP}


def test_an_application_s_route_is_its_path_alone() -> None:
    config = json.loads(routes.route(ID, ("172.18.0.2", 8888), (routes.PAGES, routes.GUARD)))["http"]
    assert config == {
        "routers": {
            f"binder-{ID}": {
                "rule": f"PathPrefix(`/user/{ID}/`)",
                "entryPoints": ["web"],
                "priority": 1000,
                "middlewares": ["binder-pages@file", "binder-guard@file"],
                "service": f"binder-{ID}",
            }
        },
        "services": {
            f"binder-{ID}": {
                "loadBalancer": {
                    "servers": [{"url": "http://172.18.0.2:8888"}],
                    "responseForwarding": {"flushInterval": "1ms"},
                }
            }
        },
    }


def test_routes_come_from_the_suite_s_files_alone() -> None:
    text = frontdoor.static_config(frontdoor.Doors(), routes=Path("/routes"))
    config = json.loads(text)
    assert {"file": {"directory": "/routes", "watch": True}}.items() <= config["providers"].items()
    assert "docker" not in config["providers"]
    assert config["entryPoints"][routes.ENTRY_POINT]["address"] == "0.0.0.0:8080"
    assert config["entryPoints"]["metrics"]["address"].startswith("127.0.0.1:")
    idle = config["serversTransport"]["forwardingTimeouts"]["idleConnTimeout"]
    assert idle == f"{activity.IDLE_SECONDS}s"


@pytest.mark.parametrize(
    ("location", "scheme", "host", "reached"),
    [
        (
            "http://127.0.0.1:8080/user/a/?token=t",
            "http",
            "binder.example:8080",
            "http://binder.example:8080/user/a/?token=t",
        ),
        ("http://localhost:8080/user/a/", "https", "binder.example", "https://binder.example/user/a/"),
        ("http://[::1]:8080/user/a/", "http", "[2001:db8::1]:80", "http://[2001:db8::1]:80/user/a/"),
        ("http://127.0.0.1:8080/user/a/", None, None, "http://127.0.0.1:8080/user/a/"),
        ("https://set.example/user/a/", "http", "other.example", "https://set.example/user/a/"),
        ("http://127.0.0.1:8080/user/a/", "http", "evil/x", "http://127.0.0.1:8080/user/a/"),
        ("http://127.0.0.1:8080/user/a/", "http", "a\r\nb", "http://127.0.0.1:8080/user/a/"),
        ("http://127.0.0.1:8080/user/a/", "javascript", "ok.example", "http://ok.example/user/a/"),
    ],
)
def test_without_a_public_url_a_location_is_told_as_the_front_door_was_asked(
    location: str, scheme: str | None, host: str | None, reached: str
) -> None:
    assert routes.as_reached(location, scheme=scheme, host=host) == reached
