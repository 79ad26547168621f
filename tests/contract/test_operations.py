"""The table of operations and the services: each row is served once, described, and holds under any input."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from binder_protocol.operations import OPERATIONS, Operation
from binder_protocol.service.settings import ServiceSettings

SNAPSHOTS = Path(__file__).parent / "snapshots"
SECTIONS = {
    "build": "binder_build",
    "registry": "binder_registry",
    "deploy": "binder_deploy",
    "health": "binder_control.health",
}


def served_by(section: str, home: Path) -> FastAPI:
    """The application of the service of that section, as its `main` builds it."""
    package = SECTIONS[section]
    settings_module = importlib.import_module(f"{package}.settings")
    (settings_class,) = (
        value
        for value in vars(settings_module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value is not ServiceSettings
    )
    build_app: Callable[[ServiceSettings], FastAPI] = importlib.import_module(f"{package}.main").build_app
    return build_app(settings_class.model_validate({"home": home, "api_key": "sesame"}))


@pytest.fixture(scope="module")
def descriptions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each service says of itself, by section."""
    return {section: served_by(section, tmp_path_factory.mktemp(section)).openapi() for section in SECTIONS}


def test_every_section_has_a_service() -> None:
    assert {operation.section for operation in OPERATIONS} == set(SECTIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.section}.{each.name}")
def test_an_operation_is_served_by_one_service_alone(
    descriptions: dict[str, dict[str, Any]], operation: Operation
) -> None:
    methods = {operation.method, operation.also} - {None}
    serving = {
        section: {method.upper() for method in described["paths"].get(operation.path, {})}
        for section, described in descriptions.items()
    }
    assert [section for section, found in serving.items() if methods & found] == [operation.section]
    assert methods <= serving[operation.section]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_service_offers_nothing_beyond_the_table(descriptions: dict[str, dict[str, Any]], section: str) -> None:
    offered = {(method.upper(), path) for path, methods in descriptions[section]["paths"].items() for method in methods}
    mine = [each for each in OPERATIONS if each.section == section]
    assert offered == {(method, each.path) for each in mine for method in (each.method, each.also) if method}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.section}.{each.name}")
def test_a_handler_takes_the_query_that_the_table_names(
    descriptions: dict[str, dict[str, Any]], operation: Operation
) -> None:
    described = descriptions[operation.section]["paths"][operation.path][operation.method.lower()]
    taken = {each["name"] for each in described.get("parameters", ()) if each["in"] == "query"}
    assert taken == set(operation.query)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_description_is_the_one_that_was_agreed_on(
    descriptions: dict[str, dict[str, Any]], section: str, request: pytest.FixtureRequest
) -> None:
    """Run with --update-snapshots where a change of the API is meant, and look at the difference."""
    described = descriptions[section] | {"info": {"title": descriptions[section]["info"]["title"]}}
    text = json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    snapshot = SNAPSHOTS / f"{section}.json"
    if request.config.getoption("--update-snapshots"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")
