"""Where a pod goes: the operator's words and the template's."""

from __future__ import annotations

from binder_deploy.backends.kubernetes.placing import placed
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.models import Placement, Toleration

OPERATORS = Site(
    "s", node_selector={"pool": "applications", "disk": "ssd"}, tolerations=({"key": "pool", "operator": "Exists"},),
    priority_class="low", pull_secrets=("one", "two"), scheduler="packing", runtime_class="gvisor",
)  # fmt: skip


def test_a_template_goes_before_the_operator_or_beside_it() -> None:
    placement = Placement(
        node_selector={"pool": "gpu", "zone": "a"}, tolerations=[Toleration(key="gpu", value="a100")],
        priority_class="high", pull_secrets=["two", "three"],
    )  # fmt: skip
    assert placed(placement, OPERATORS) == {
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}, {"name": "three"}],
        "nodeSelector": {"pool": "gpu", "disk": "ssd", "zone": "a"},
        "tolerations": [
            {"key": "pool", "operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "a100"},
        ],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "schedulerName": "packing",
    }
