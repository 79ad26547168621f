"""What doctor finds of a real cluster, asked as operators ask it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from binder_deploy.backends.kubernetes.permissions import needs
from binder_deploy.backends.kubernetes.site import Site
from tests.support.cluster import Cluster
from tests.support.places import Place, a_place
from tests.support.processes import free_port

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with a_place(cluster, tmp_path) as made:
        yield made


def found(place: Place, **given: object) -> dict[str, dict[str, Any]]:
    """The findings by their checks."""
    usual = {"KUBERNETES_KUBECONFIG": place.kubeconfig, "KUBERNETES_NAMESPACE": place.namespace, "MEMORY": "128M"}
    named = {f"BINDER_DEPLOY_{name}": str(value) for name, value in {**usual, **given}.items()}
    build = {"BINDER_BUILD_REGISTRY": place.image.rpartition("/")[0], "BINDER_BUILD_REGISTRY_TLS": "false"}
    command = [str(Path(sys.executable).with_name("binder-control")), "doctor", "--json", "--backend=kubernetes"]
    home = {"BINDER_HOME": str(place.home / "home")}
    done = subprocess.run(
        command, env={**os.environ, **build, **named, **home}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return {each["check"]: each for each in json.loads(done.stdout)}


def test_a_cluster_that_works_has_no_complaints(place: Place) -> None:
    told = found(place)
    for check in ("kubeconfig", "API server", "rights", "namespace", "image registry"):
        assert told[check]["verdict"] == "ok", told[check]
    assert told["nodes"]["verdict"] != "failed"
    assert place.pods() == []


def test_each_fault_of_a_cluster_is_found_and_says_what_mends_it(place: Place, tmp_path: Path) -> None:
    limited = place.account([each for each in needs(Site("any")) if each[1] != "services"], tmp_path / "limited")
    told = found(place, KUBERNETES_KUBECONFIG=limited, KUBERNETES_INGRESS_CLASS="none-such")
    assert (told["rights"]["verdict"], told["nodes"]["verdict"]) == ("failed", "warning")
    assert "create services" in told["rights"]["what"]
    told = found(place, KUBERNETES_NAMESPACE="none-such", KUBERNETES_INGRESS_CLASS="none-such")
    assert "kubectl create namespace none-such" in told["namespace"]["mend"]
    assert told["ingress class"]["verdict"] == "failed"
    words = "images come from the company's registry alone"
    with place.webhook(words):
        told = found(place)
        assert told["namespace"]["verdict"] == "failed"
        assert words in told["namespace"]["what"]


def test_where_nobody_answers_that_is_all_there_is_to_say(place: Place, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text(re.sub(r"https://[^\s\"]+", f"https://127.0.0.1:{free_port()}", place.kubeconfig.read_text()))
    told = found(place, KUBERNETES_KUBECONFIG=silent)
    assert told["kubeconfig"]["verdict"] == "warning"  # anybody can read it
    assert told["API server"]["verdict"] == "failed"
    assert "namespace" not in told
