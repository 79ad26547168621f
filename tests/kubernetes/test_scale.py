"""What many applications cost a cluster: its control plane is real, its nodes are simulated."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.scale import Figures, requests_of_a_few
from benchmarks.scale_service import NAMESPACE
from tests.cluster.simulated import Simulated, simulated

# Its binary may still be compiled.
pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1_500)]
FEW, REST_SECONDS = 40, 20.0


@pytest.fixture
def many_nodes(tmp_path: Path) -> Iterator[Simulated]:
    if shutil.which("go") is None:
        pytest.skip("there is no Go to build the nodes' simulation")
    with simulated(tmp_path / "cluster", nodes=3) as made:
        made.kubectl("create", "namespace", NAMESPACE)
        yield made


def test_a_launch_is_three_requests_as_is_a_stop_and_rest_is_hardly_any(many_nodes: Simulated, tmp_path: Path) -> None:
    found = Figures()
    requests_of_a_few(many_nodes, tmp_path, found, few=FEW, rest=REST_SECONDS)
    # Beside those of an application there are a few of the service's own: it looks for room, and renews its watch.
    assert 3 <= found["API requests per launch"] < 3.5
    assert 3 <= found["API requests per stop"] < 3.5
    assert found[f"API requests in {REST_SECONDS:g} s at rest"] <= 6
