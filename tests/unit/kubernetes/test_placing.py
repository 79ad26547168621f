"""Where a pod goes: the operator's words and the template's."""

from __future__ import annotations

from typing import Any

import pytest

from binder_deploy.backends.kubernetes.placing import LOST, placed
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.models import Placement, Toleration

NOT_READY, UNREACHABLE = LOST
OPERATORS = Site(
    "s", node_selector={"pool": "applications", "disk": "ssd"}, tolerations=({"key": "pool", "operator": "Exists"},),
    priority_class="low", pull_secrets=("one", "two"), scheduler="packing", runtime_class="gvisor",
)  # fmt: skip


def lost(seconds: int, *keys: str) -> list[dict[str, Any]]:
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds} for key in keys or LOST
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
            *lost(5),
            {"key": "pool", "operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "a100"},
        ],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "schedulerName": "packing",
    }


def test_without_a_word_only_lost_nodes_are_spoken_of() -> None:
    assert placed(Placement(), Site("s", node_lost_seconds=0)) == {"tolerations": lost(0)}


@pytest.mark.parametrize(
    ("toleration", "left"),
    [
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}, (NOT_READY,)),
        ({"key": NOT_READY, "operator": "Exists"}, (UNREACHABLE,)),
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}, LOST),
        ({"operator": "Exists"}, ()),
        ({"key": "", "operator": "Exists", "effect": ""}, ()),
        ({"key": "pool", "operator": "Exists"}, LOST),
    ],
)
def test_an_operator_may_say_for_how_long_a_lost_node_is_borne(
    toleration: dict[str, Any], left: tuple[str, ...]
) -> None:
    expected = [*(lost(5, *left) if left else []), toleration]
    assert placed(Placement(), Site("s", tolerations=(toleration,))) == {"tolerations": expected}


def test_a_template_that_bears_everything_bears_no_lost_node_longer() -> None:
    found = placed(Placement(tolerations=[Toleration(operator="Exists")]), Site("s"))["tolerations"]
    # The cluster takes the first one that fits a taint.
    assert found == [*lost(5), {"operator": "Exists"}]
