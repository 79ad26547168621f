"""How many applications have a place."""

from __future__ import annotations

from typing import Any

import pytest

from binder_deploy.backends.kubernetes import fitting

POD: dict[str, Any] = {
    "spec": {
        "containers": [
            {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}},
        ]
    }
}


def a_node(name: str = "n1", *, taints: list[dict[str, str]] | None = None, **spec: Any) -> fitting.Node:
    return fitting.node({
        "metadata": {"name": name, "labels": {"kind": "large"}},
        "spec": {"taints": taints or [], **spec},
        "status": {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1"}],
        },
    })  # fmt: skip


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1_000), ("100m", 100), ("1Gi", 2**30 * 1_000), ("1.5G", 1_500_000_000_000), ("1e3", 1_000_000),
        ("129e6", 129_000_000_000), ("1E", 10**21), ("", None), ("much", None), ("1Xi", None),
    ],
)  # fmt: skip
def test_quantities_are_read(text: str, amount: int | None) -> None:
    assert fitting.amounts({"x": text}) == ({} if amount is None else {"x": amount})


def test_the_scarcest_resource_decides() -> None:
    assert fitting.room(POD, [a_node()], {}) == 10
    assert fitting.room(POD, [a_node()], {"n1": {"memory": 3 * 2**30 * 1000}}) == 4
    assert fitting.room(POD, [a_node(), a_node("n2")], {"n1": {"pods": 10_000}}) == 10


def test_nodes_that_take_no_pod_have_no_room() -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    assert fitting.room(POD, [a_node(unschedulable=True)], {}) == 0
    assert fitting.room(POD, [a_node(taints=[taint])], {}) == 0
    tolerant = {"spec": {**POD["spec"], "tolerations": [{"key": "gpu", "operator": "Exists"}]}}
    assert fitting.room(tolerant, [a_node(taints=[taint])], {}) == 10
    assert fitting.room(POD, [a_node(taints=[{"key": "a", "effect": "PreferNoSchedule"}])], {}) == 10
    assert fitting.room({"spec": {**POD["spec"], "nodeSelector": {"kind": "small"}}}, [a_node()], {}) == 0


def test_what_is_larger_than_every_node_fits_nowhere() -> None:
    large = {"spec": {"containers": [{"resources": {"requests": {"memory": "5Gi"}}}]}}
    devices = {"spec": {"containers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}]}}
    assert fitting.fits_nowhere(large, [a_node()])
    assert fitting.fits_nowhere(devices, [a_node()])
    assert not fitting.fits_nowhere(POD, [a_node(unschedulable=True)])
    assert not fitting.fits_nowhere(large, [])


def a_quota(hard: dict[str, str], used: dict[str, str]) -> dict[str, Any]:
    return {"status": {"hard": hard, "used": used}}


def test_the_strictest_quota_decides() -> None:
    assert fitting.allowed(POD, []) is None
    assert fitting.allowed(POD, [a_quota({"configmaps": "1"}, {})]) is None
    assert fitting.allowed(POD, [a_quota({"pods": "7"}, {"pods": "4"})]) == 3
    assert fitting.allowed(POD, [a_quota({"pods": "7"}, {}), a_quota({"limits.memory": "1Gi"}, {})]) == 2
    assert fitting.allowed(POD, [a_quota({"requests.cpu": "1"}, {"requests.cpu": "2"})]) == 0


def test_a_nodes_addresses_are_those_of_networks() -> None:
    assert a_node().addresses == ("10.0.0.1",)
