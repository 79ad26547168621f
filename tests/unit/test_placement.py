"""What a template may say of its place on a cluster, in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from binder_protocol.models import Placement, TemplateSpec, Toleration

WHOLE = {
    "node-selector": {"kubernetes.io/arch": "arm64", "pool": ""},
    "tolerations": [{"key": "example.org/gpu", "operator": "Exists", "effect": "NoExecute", "toleration-seconds": 60}],
    "priority-class": "course.low",
    "pull-secrets": ["registry-login"],
}


def test_a_placement_goes_over_the_wire_and_back() -> None:
    placement = TemplateSpec.model_validate({"name": "a", "image": "b", "placement": WHOLE}).placement
    assert placement.wire() == WHOLE
    assert Placement.model_validate(placement.wire()) == placement
    assert TemplateSpec(name="a", image="b").placement.wire() == {}


def test_the_words_of_manifests_are_taken_too() -> None:
    assert Placement.model_validate({"nodeSelector": {"a": "b"}}) == Placement(node_selector={"a": "b"})
    spelled = Toleration.model_validate({"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5})
    assert (spelled.key, spelled.toleration_seconds) == (None, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"node-name": "n1"},
        {"node-selector": {"a b": "c"}},
        {"node-selector": {"": "c"}},
        {"node-selector": {"/a": "c"}},
        {"node-selector": {"Example.org/a": "c"}},
        {"node-selector": {"a..b/c": "d"}},
        {"node-selector": {"a/b/c": "d"}},
        {"node-selector": {"a": "-"}},
        {"node-selector": {"a": "x" * 64}},
        {"node-selector": {"a": None}},
        {"node-selector": {f"a{number}": "b" for number in range(17)}},
        {"tolerations": [{"key": "a", "operator": "Lt"}]},
        {"tolerations": [{"value": "b"}]},
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        {"tolerations": [{"key": "a", "value": "b c"}]},
        {"tolerations": [{"key": "a", "effect": "noexecute"}]},
        {"tolerations": [{"key": "a", "effect": "NoSchedule", "toleration-seconds": 1}]},
        {"tolerations": [{"key": "a", "effect": "NoExecute", "toleration-seconds": -1}]},
        {"tolerations": [{"key": "a", "seconds": 1}]},
        {"tolerations": [{"key": "a"}] * 17},
        {"priority-class": "High"},
        {"priority-class": "system-node-critical"},
        {"priority-class": ""},
        {"pull-secrets": ["../token"]},
        {"pull-secrets": ["a\n"]},
        {"pull-secrets": ["a" * 254]},
        {"pull-secrets": "registry-login"},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_what_a_cluster_would_not_take_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TemplateSpec.model_validate({"name": "a", "image": "b", "placement": wrong})
