"""What a launch comes to."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from binder_deploy.launches import Launch, Policy, settle
from binder_protocol.errors import InvalidTemplate
from binder_protocol.models import LaunchRequest, Limits, Placement, Template, Toleration
from tests.support.launches import POLICY


def _settled(template: dict[str, Any], request: dict[str, Any], policy: Policy = POLICY) -> Launch:
    now = datetime.now(UTC)
    whole = Template(
        name="demo", revision=3, image="demo:1", image_name="demo", image_source="demo:1", port=8888,
        time_created=now, time_modified=now, **template,
    )  # fmt: skip
    return settle(whole, LaunchRequest(template_name="demo", **request), policy, identity="a" * 32, token="t")


def test_the_request_goes_before_the_template_and_the_template_before_the_default() -> None:
    settled = _settled(
        {"limits": Limits(memory="1Gi", pids=100), "environment": {"A": "1", "B": "1"}, "cull_timeout": 5_000},
        {"resources": Limits(pids=50), "environment": {"B": "2"}},
    )
    assert (settled.memory, settled.cpu, settled.pids) == (2**30, 500, 50)
    assert settled.environment == {"A": "1", "B": "2"}
    assert settled.cull_timeout == 5_000


@pytest.mark.parametrize("limits", [Limits(memory="2Gi"), Limits(cpu="3"), Limits(pids=513)])
def test_more_than_the_operator_allows_is_refused_by_name(limits: Limits) -> None:
    for template, request in (({"limits": limits}, {}), ({}, {"resources": limits})):
        with pytest.raises(InvalidTemplate, match=r"limits\.(memory|cpu|pids)"):
            _settled(template, request)


def test_times_end_where_the_operator_says() -> None:
    settled = _settled({"max_age": 10**10}, {"cull_timeout": 10**10})
    assert (settled.cull_timeout, settled.max_age) == (7_200_000, 86_400_000)
    assert _settled({}, {}).max_age == 86_400_000


def test_extended_resources_are_those_that_the_operator_names() -> None:
    policy = dataclasses.replace(POLICY, extended={"nvidia.com/gpu": 2})
    asked = {"limits": Limits(extended={"nvidia.com/gpu": 2})}
    assert _settled(asked, {}, policy).extended == {"nvidia.com/gpu": 2}
    assert _settled(asked, {"resources": Limits(extended={"nvidia.com/gpu": 0})}, policy).extended == {}
    for wrong in ({"nvidia.com/gpu": 3}, {"amd.com/gpu": 1}):
        with pytest.raises(InvalidTemplate, match=r"limits\.extended"):
            _settled({"limits": Limits(extended=wrong)}, {}, policy)
    with pytest.raises(InvalidTemplate, match="0 at most here"):
        _settled(asked, {})


def test_disk_is_bounded_where_applications_can_be_held_to_it() -> None:
    policy = dataclasses.replace(POLICY, max_disk=10**9)
    asked = {"limits": Limits(disk="1G")}
    assert _settled(asked, {}, policy).disk == 10**9
    assert _settled(asked, {"resources": Limits(disk="5M")}, policy).disk == 5 * 10**6
    assert _settled({}, {}, policy).disk is None
    for template, request in (({"limits": Limits(disk="2G")}, {}), ({}, {"resources": Limits(disk="2G")})):
        with pytest.raises(InvalidTemplate, match=r"limits\.disk asks for 2000000000 bytes"):
            _settled(template, request, policy)
    with pytest.raises(InvalidTemplate, match="can't hold an application"):
        _settled(asked, {})


WHOLE = Placement(
    node_selector={"pool": "gpu"}, tolerations=[Toleration(key="gpu", operator="Exists")], priority_class="low",
    pull_secrets=["login"],
)  # fmt: skip


def test_a_template_says_of_its_place_what_the_operator_lets_it() -> None:
    assert _settled({"placement": WHOLE}, {}).placement == WHOLE
    for name in WHOLE.wire():
        policy = dataclasses.replace(POLICY, placement=POLICY.placement - {name})
        with pytest.raises(InvalidTemplate, match=rf"placement\.{name} is not") as refused:
            _settled({"placement": WHOLE}, {}, policy)
        assert any("template-placement" in each for each in refused.value.suggestions)
    nothing = dataclasses.replace(POLICY, placement=frozenset())
    assert _settled({"placement": Placement(tolerations=[])}, {}, nothing).placement.wire() == {"tolerations": []}


def test_a_launch_is_kept_whole_and_one_of_an_earlier_version_is_read() -> None:
    launch = _settled({"placement": WHOLE}, {})
    assert Launch.model_validate_json(launch.model_dump_json()) == launch
    earlier = launch.model_dump_json(exclude={"placement", "disk"})
    assert Launch.model_validate_json(earlier) == _settled({}, {})
