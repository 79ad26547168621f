"""The cluster itself does what tests of ours rely on: pods answer, log, die of memory; roles bind; ways to it break."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.conftest import BUSYBOX
from tests.support.apiproxy import ApiProxy
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

pytestmark = [pytest.mark.kubernetes, pytest.mark.docker, pytest.mark.usefixtures("busybox")]

SERVE = "echo serving; mkdir /tmp/www; echo hello >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


def run(cluster: Cluster, namespace: str, *command: str, **container: Any) -> None:
    """A pod of one container, named `it`, of an image of the engine that is pulled from the registry."""
    made = {"name": "it", "image": cluster.image(BUSYBOX), "command": list(command), **container}
    spec = {"containers": [made], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it", "labels": {"app": "it"}}, "spec": spec}
    cluster.kubectl("create", "--filename=-", f"--namespace={namespace}", given=json.dumps(pod))


def pod(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", "pod", "it", f"--namespace={namespace}", "--output=json"))
    return found


def test_a_pod_answers_and_logs(cluster: Cluster, namespace: str) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    run(cluster, namespace, "sh", "-c", SERVE, readinessProbe=probe)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/it", "--timeout=60s", f"--namespace={namespace}")
    cluster.kubectl("expose", "pod", "it", "--port=80", "--target-port=8080", f"--namespace={namespace}")

    assert cluster.kubectl("logs", "it", f"--namespace={namespace}") == "serving"
    through = f"/api/v1/namespaces/{namespace}/services/it:80/proxy/"
    eventually(lambda: _succeeds(cluster, "get", "--raw", through), within=30)
    assert cluster.kubectl("get", "--raw", through) == "hello"


def test_a_pod_that_takes_too_much_memory_says_so(cluster: Cluster, namespace: str) -> None:
    run(cluster, namespace, "tail", "/dev/zero", resources={"limits": {"memory": "32Mi"}})

    def ended() -> str:
        statuses = pod(cluster, namespace)["status"].get("containerStatuses", [{}])
        return str(statuses[0].get("state", {}).get("terminated", {}).get("reason", ""))

    assert eventually(ended, within=60) == "OOMKilled"


def test_names_resolve_in_a_pod(cluster: Cluster, namespace: str) -> None:
    run(cluster, namespace, "nslookup", "kubernetes.default.svc.cluster.local")
    eventually(lambda: pod(cluster, namespace)["status"]["phase"] == "Succeeded", within=60)


def test_a_service_account_may_what_its_role_says(cluster: Cluster, namespace: str) -> None:
    someone = f"--as=system:serviceaccount:{namespace}:default"
    ask = ("auth", "can-i", "list", "pods", someone, f"--namespace={namespace}")
    assert not _succeeds(cluster, *ask)
    cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", f"--namespace={namespace}")
    account = f"--serviceaccount={namespace}:default"
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", account, f"--namespace={namespace}")
    eventually(lambda: _succeeds(cluster, *ask), within=10)


def test_a_namespace_is_gone_after_its_test(cluster: Cluster) -> None:
    with cluster.namespace() as name:
        assert _succeeds(cluster, "get", "namespace", name)
    eventually(lambda: not _succeeds(cluster, "get", "namespace", name), within=60, every=0.2)


def test_the_way_to_the_api_server_can_be_cut_and_mended(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.proxy(tmp_path) as proxy:
        assert _version(cluster, proxy)
        proxy.cut()
        with pytest.raises(subprocess.CalledProcessError):
            _version(cluster, proxy)
        proxy.mend()
        assert _version(cluster, proxy)
        assert "GET /version" in " ".join(proxy.requests)


def test_the_way_to_the_api_server_can_refuse(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.proxy(tmp_path) as proxy:
        proxy.refused["GET /version"] = 403
        with pytest.raises(subprocess.CalledProcessError) as caught:
            _version(cluster, proxy)
        assert "refused by a test" in caught.value.stderr


def test_the_way_to_the_api_server_can_be_silent(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.proxy(tmp_path) as proxy:
        proxy.silent = True
        with pytest.raises(subprocess.CalledProcessError) as caught:
            _version(cluster, proxy)
        assert "Timeout" in caught.value.stderr or "timed out" in caught.value.stderr


def test_the_way_to_the_api_server_can_show_an_expired_certificate(cluster: Cluster, tmp_path: Path) -> None:
    with cluster.proxy(tmp_path, expired=True) as proxy, pytest.raises(subprocess.CalledProcessError) as caught:
        _version(cluster, proxy)
    assert "expired" in caught.value.stderr


def test_a_cut_ends_a_watch(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    with cluster.proxy(tmp_path) as proxy:
        watch = subprocess.Popen(
            [*cluster.program, f"--kubeconfig={proxy.kubeconfig}", "get", "pods", "--watch-only", f"-n{namespace}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with watch:
            eventually(lambda: any("watch=true" in each for each in proxy.requests), within=20)
            proxy.cut()
            watch.wait(20)


def _version(cluster: Cluster, proxy: ApiProxy) -> str:
    command = [*cluster.program, f"--kubeconfig={proxy.kubeconfig}", "--request-timeout=3s", "get", "--raw", "/version"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _succeeds(cluster: Cluster, *words: str) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        cluster.kubectl(*words)
        return True
    return False
