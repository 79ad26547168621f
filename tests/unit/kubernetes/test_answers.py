"""What the API server's refusals mean to who launched."""

from __future__ import annotations

import json

import pytest

from binder_deploy.backends.kubernetes.answers import Denied, denied, why_not_launched
from binder_deploy.backends.kubernetes.permissions import missing, needs
from binder_deploy.backends.kubernetes.site import Entrance, Gateway, Site

QUOTA = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5'
HOOK = 'admission webhook "v.x" denied the request: not from there'
SECURITY = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged'
RIGHTS = 'pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "n"'
ENDING = 'pods "x" is forbidden: unable to create new content in namespace n because it is being terminated'


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (403, QUOTA, "quota-exceeded"),
        (403, HOOK, "invalid-template"),
        (400, HOOK, "invalid-template"),
        (403, SECURITY, "invalid-template"),
        (403, 'pods "x" is forbidden: no PriorityClass with name urgent was found', "invalid-template"),
        (422, 'Pod "x" is invalid: spec.containers[0].image: Required value', "invalid-template"),
        (403, RIGHTS, "launch-failed"),
        (404, 'namespaces "n" not found', "launch-failed"),
        (403, ENDING, "engine-error"),
        (429, "too many requests", "engine-error"),
        (500, 'failed calling webhook "v.x": connection refused', "engine-error"),
        (500, HOOK, "engine-error"),
    ],
)
def test_a_refusal_has_its_type_and_keeps_its_words(code: int, words: str, kind: str) -> None:
    body = json.dumps({"kind": "Status", "message": words, "reason": "Forbidden"}).encode()
    error = why_not_launched(denied("POST", "/api/v1/pods", code, body, None))
    assert error.type == kind
    assert words in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": null}', b"[" * 100_000])
def test_a_refusal_that_can_not_be_read_is_one_all_the_same(body: bytes) -> None:
    error = denied("GET", "/x", 503, body, "7")
    assert isinstance(error, Denied)
    assert (error.code, error.retry_after) == (503, 7)
    assert denied("GET", "/x", 503, body, "soon").retry_after is None


def test_a_verb_is_granted_by_name_or_by_star_and_not_for_single_objects() -> None:
    wanted = [("create", "pods", ""), ("get", "pods/log", "")]
    assert missing([], wanted) == wanted
    assert missing([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}], wanted) == []
    rule = {"verbs": ["create", "get"], "apiGroups": [""], "resources": ["pods"]}
    assert missing([rule], wanted) == [("get", "pods/log", "")]
    assert missing([{**rule, "resourceNames": ["one"]}], wanted) == wanted


def test_what_is_needed_depends_on_the_kind_of_route() -> None:
    gateway = needs(Site("s", entrance=Entrance(gateway=Gateway("g")), network_policy=False))
    assert ("create", "httproutes", "gateway.networking.k8s.io") in gateway
    assert not any(resource in ("ingresses", "networkpolicies") for _, resource, _ in gateway)
