"""Addresses of applications, and the front door's own configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from binder_control import frontdoor
from binder_deploy import activity, routes
from tests.support.launches import ID


def test_a_location_carries_the_token_where_there_is_one() -> None:
    assert routes.location("https://b.example", ID, "a&b") == f"https://b.example/user/{ID}/?token=a%26b"
    assert routes.location("https://b.example", ID, "") == f"https://b.example/user/{ID}/"


@pytest.mark.parametrize(
    ("router", "application"),
    [(f"binder-{ID}@docker", ID), (f"binder-{ID}@file", None), ("api-build@file", None), ("other@docker", None)],
)
def test_routers_of_applications_are_known_by_name_and_provider(router: str, application: str | None) -> None:
    assert routes.application_of(router) == application


def test_the_services_are_carried_by_path_and_only_their_operations() -> None:
    config = json.loads(frontdoor.dynamic_config({"deploy": "http://d", "build": "http://b"}))["http"]
    assert {name: each["rule"] for name, each in config["routers"].items()} == {
        "api-build": "PathRegexp(`^/(builds|plans)(/|$)`)",
        "api-deploy": "PathRegexp(`^/(applications|preload|capacity)(/|$)`)",
        "applications": "PathPrefix(`/user/`)",
    }
    assert config["services"]["binder-build"] == {"loadBalancer": {"servers": [{"url": "http://b"}]}}


def test_every_middleware_that_a_label_names_is_there() -> None:
    config = json.loads(frontdoor.dynamic_config({"deploy": "http://d"}))["http"]
    assert {f"{name}@file" for name in config["middlewares"]} == {routes.PAGES, routes.GUARD, routes.STRIP}


def test_only_containers_of_this_suite_get_routes() -> None:
    text = frontdoor.static_config(frontdoor.Doors(), dynamic=Path("/r.yml"), home="feedc0de", docker_url="unix:///d")
    config = json.loads(text)
    assert config["providers"]["docker"]["constraints"] == "Label(`org.binder.home`,`feedc0de`)"
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
