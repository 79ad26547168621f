"""Where a pod goes: the operator's words and the template's."""

from __future__ import annotations

from typing import Any

import pytest

from binder_deploy.backends.kubernetes.placing import NOT_READY, UNREACHABLE, placed
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.models import Placement, Toleration

USUAL = {UNREACHABLE: 5, NOT_READY: 30}
OPERATORS = Site(
    "s", node_selector={"pool": "applications", "disk": "ssd"}, tolerations=({"key": "pool", "operator": "Exists"},),
    priority_class="low", pull_secrets=("one", "two"), scheduler="packing", runtime_class="gvisor",
)  # fmt: skip


def lost(borne: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key, seconds in borne.items()
    ]


def test_a_template_goes_before_the_operator_or_beside_it() -> None:
    placement = Placement(
        node_selector={"pool": "gpu", "zone": "a"}, tolerations=[Toleration(key="gpu", value="a100")],
        priority_class="high", pull_secrets=["two", "three"],
    )  # fmt: skip
    assert placed(placement, OPERATORS) == {
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}, {"name": "three"}],
        "nodeSelector": {"pool": "gpu", "disk": "ssd", "zone": "a"},
        "tolerations": [
            *lost(USUAL),
            {"key": "pool", "operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "a100"},
        ],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "schedulerName": "packing",
    }


@pytest.mark.parametrize(("seconds", "not_ready"), [(0, 30), (5, 30), (300, 300)])
def test_without_a_word_only_lost_nodes_are_spoken_of(seconds: int, not_ready: int) -> None:
    found = placed(Placement(), Site("s", node_lost_seconds=seconds))
    assert found == {"tolerations": lost({UNREACHABLE: seconds, NOT_READY: not_ready})}


@pytest.mark.parametrize(
    ("toleration", "left"),
    [
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}, {NOT_READY: 30}),
        ({"key": NOT_READY, "operator": "Exists"}, {UNREACHABLE: 5}),
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}, USUAL),
        ({"operator": "Exists"}, {}),
        ({"key": "", "operator": "Exists", "effect": ""}, {}),
        ({"key": "pool", "operator": "Exists"}, USUAL),
    ],
)
def test_an_operator_may_say_for_how_long_a_lost_node_is_borne(
    toleration: dict[str, Any], left: dict[str, int]
) -> None:
    assert placed(Placement(), Site("s", tolerations=(toleration,)))["tolerations"] == [*lost(left), toleration]


def test_a_template_that_bears_everything_bears_no_lost_node_longer() -> None:
    found = placed(Placement(tolerations=[Toleration(operator="Exists")]), Site("s"))["tolerations"]
    # The cluster takes the first one that fits a taint.
    assert found == [*lost(USUAL), {"operator": "Exists"}]
