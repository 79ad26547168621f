"""Models on the wire: spellings, the types of 2016's client, limits of what is accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from binder_protocol.models import Build, BuildPhase, BuildRequest, BuildStatus, LaunchRequest, Limits, TemplateSpec
from binder_protocol.models.quantities import memory_bytes, millicpus

_IMAGE = "sha256:" + "a" * 64


def test_a_client_of_2016_sends_its_values_as_strings() -> None:
    assert BuildRequest.model_validate({"repository": "a/b", "force": "false"}).force is False
    assert LaunchRequest.model_validate({"template-name": "x", "cull-timeout": "1000"}).cull_timeout == 1000


@pytest.mark.parametrize("key", ["template-name", "templateName", "template_name"])
def test_a_request_may_spell_its_fields_in_three_ways(key: str) -> None:
    assert LaunchRequest.model_validate({key: "x"}).template_name == "x"


def test_a_field_given_in_two_spellings_is_an_error() -> None:
    with pytest.raises(ValidationError, match="given twice"):
        LaunchRequest.model_validate({"template-name": "x", "templateName": "y"})


def test_an_unknown_field_of_a_request_is_an_error() -> None:
    with pytest.raises(ValidationError, match="extra"):
        BuildRequest.model_validate({"repository": "a/b", "forced": True})


def test_an_unknown_field_of_an_answer_is_ignored() -> None:
    build = {"name": "a", "display-name": "a", "repository": "r", "status": "queued", "phase": "queued"}
    assert Build.model_validate({**build, "start-time": "2026-01-01T00:00:00Z", "newer": 1}).name == "a"


def test_what_is_not_known_yet_is_absent_and_times_are_utc() -> None:
    build = Build(
        name="a",
        display_name="o/r",
        repository="r",
        status=BuildStatus.QUEUED,
        phase=BuildPhase.QUEUED,
        start_time=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    )
    assert build.wire() == {
        "name": "a",
        "display-name": "o/r",
        "repository": "r",
        "attempt": 1,
        "status": "queued",
        "phase": "queued",
        "start-time": "2026-01-02T03:04:05.678Z",
        "cached": False,
        "timings": [],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": "a" * 300},
        {"name": "a\nb"},
        {"image": "../../x"},
        {"image": "Upper/Case"},
        {"image": "a b"},
        {"image": "sha256:12"},
        {"image": "a" * 600},
        {"port": 0},
        {"port": 65_536},
        {"command": []},
        {"command": "rm -rf /; true"},
        {"command": ["{base-pth}"]},
        {"command": ["a\0b"]},
        {"environment": {"A=B": "c"}},
        {"environment": {"A": "b\0"}},
        {"labels": {"a b": "c"}},
        {"labels": {"org.binder.application": "x"}},
        {"labels": {"traefik.enable": "true"}},
        {"labels": {"a": "x y"}},
        {"limits": {"memory": "-1"}},
        {"limits": {"memory": "0"}},
        {"limits": {"memory": "1e309"}},
        {"limits": {"memory": "NaN"}},
        {"limits": {"cpu": "-1"}},
        {"limits": {"cpu": 0}},
        {"limits": {"cpu": float("inf")}},
        {"limits": {"pids": 0}},
        {"limits": {"extended": {"gpu": 1}}},
        {"limits": {"extended": {"nvidia.com/gpu": -1}}},
        {"limits": {"extended": {"node.kubernetes.io/disk": 1}}},
        {"limits": {"disk": "much"}},
        {"health-path": "http://169.254.169.254/"},
        {"health-path": "//evil"},
        {"health-path": "/a\r\nSet-Cookie: x"},
        {"cull-timeout": 0},
        {"cull-timeout": 10**18},
        {"privileged": True},
    ],
    ids=str,
)
def test_a_template_that_could_not_be_launched_is_refused(wrong: dict[str, Any]) -> None:
    spec: dict[str, Any] = {"name": "a", "image": _IMAGE}
    TemplateSpec.model_validate(spec)
    with pytest.raises(ValidationError):
        TemplateSpec.model_validate({**spec, **wrong})


@pytest.mark.parametrize("image", [_IMAGE, "busybox", "host:5000/a/b:tag", f"ghcr.io/a/b@{_IMAGE}", "a__b/c.d-e:1.2_3"])
def test_an_image_is_named_in_any_spelling_that_engines_take(image: str) -> None:
    assert TemplateSpec(name="a", image=image).image == image


def test_words_in_braces_that_are_no_placeholder_stay_as_they_are() -> None:
    command = ["sh", "-c", "awk '{print}'", "--base={base-path}", "--port={port}"]
    assert TemplateSpec(name="a", image=_IMAGE, command=command).command == command


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1024", 1024), ("512MB", 512_000_000), ("512M", 512_000_000), ("1.5Gi", 1_610_612_736), ("64Ki", 65_536)],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert memory_bytes(text) == amount


@pytest.mark.parametrize(("text", "amount"), [("2", 2000), ("0.5", 500), ("250m", 250)])
def test_amounts_of_cpu(text: str, amount: int) -> None:
    assert millicpus(text) == amount


def test_amounts_may_be_numbers() -> None:
    assert Limits.model_validate({"memory": 1024, "cpu": 0.5}) == Limits(memory="1024", cpu="0.5")
