"""The registry under whatever its own description allows, and under what it doesn't (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from binder_protocol.operations import OPERATIONS, Operation
from binder_registry.main import build_app
from binder_registry.settings import RegistrySettings
from tests.support.server import running

KEY = "sesame"
MINE = [each for each in OPERATIONS if each.section == RegistrySettings.section]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[Any]:
    """The registry's description, bound to a registry that runs."""
    facts = RegistrySettings(home=tmp_path_factory.mktemp("home"), api_key=SecretStr(KEY), database_url=database_url)
    with running(build_app(facts)) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [pytest.param(each, VALID, id=f"{each.name}-valid") for each in MINE] + [
    pytest.param(each, INVALID, id=f"{each.name}-invalid") for each in MINE if each.request or each.query
]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_any_input_gets_an_answer_that_is_described(described: Any, operation: Operation, mode: Any) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    described.config.generation.update(modes=[mode])

    @given(case=described[operation.path][operation.method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=50,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def holds(case: Any) -> None:
        # What an engine takes is said by more than a JSON schema can say: 422 is an answer to valid input, too.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    holds()
