"""The middlewares for Traefik in a cluster are those that binder-control writes for its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from binder_control import frontdoor
from binder_deploy import routes
from binder_deploy.backends.kubernetes.entrances import middleware

MANIFEST = Path(__file__).parents[3] / "examples" / "kubernetes" / "middlewares.yaml"
DEPLOY = "http://binder-deploy.binder.svc.cluster.local:8084"


def theirs() -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


def test_they_do_the_same() -> None:
    ours = json.loads(frontdoor.dynamic_config({"deploy": DEPLOY}))["http"]["middlewares"]
    ours["binder-pages"]["errors"]["service"] = {"name": "binder-deploy", "port": 8084}
    assert {name: each["spec"] for name, each in theirs().items()} == ours


@pytest.mark.parametrize("name", [routes.PAGES, routes.GUARD, routes.STRIP])
def test_routes_name_them(name: str) -> None:
    found = theirs()[name.removesuffix("@file")]["metadata"]
    assert middleware(name, "binder") == f"{found['namespace']}-{found['name']}@kubernetescrd"
    assert middleware(name, None) == name
