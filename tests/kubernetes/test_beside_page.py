"""docs/kubernetes.md leads from an empty cluster to a launched repository, with Binder on a host beside it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.cluster import Cluster
from tests.support.git_server import git_server
from tests.support.page import blocks, programs, typed
from tests.support.suite import suite

pytestmark = [pytest.mark.kubernetes, pytest.mark.docker, pytest.mark.timeout(600)]
APPLICATIONS = "binder-applications"
_SETTING = 'pull-secrets = ["registry-login"]'
LOGIN = f"{_SETTING}           # a Secret in binder-applications; leave it out where nobody needs a login"


def test_the_page_leads_from_an_empty_cluster_to_a_launched_repository(cluster: Cluster, tmp_path: Path) -> None:
    account, kubeconfig, settings, launch = blocks("kubernetes.md", "From an empty cluster to a launched repository")
    assert settings.language == "toml"
    told = settings.changed({"registry.example.org/binder": f"{cluster.registry}/beside", LOGIN: ""})
    build, deploy = told.removeprefix("[build]\n").split("[deploy]\n")
    given = {
        "build": f"allow-hosts = ['127.0.0.1']\nmin-free-bytes = 0\n{build}",
        "deploy": f"memory = '256M'\n{deploy}",
    }
    with git_server(tmp_path / "git") as git, suite(tmp_path / ".binder", **given) as found:
        source = git.create("own/page", {"requirements.txt": "six==1.17.0\n"})
        path = f"{programs(cluster, tmp_path)}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = found.environ | {"PATH": path, "HOME": str(tmp_path), "KUBECONFIG": str(cluster.kubeconfig)}
        environ["BINDER_URL"] = found.url
        try:
            for each in (account, kubeconfig):
                typed(each.text, environ)
            del environ["KUBECONFIG"]
            # The page's reader has a front door at the usual port.
            changed = {"https://github.com/binder-examples/requirements": f"{source.url} --json"}
            said = typed(launch.changed(changed), environ)
            application = json.loads(said[said.index("{") :])
            answer = httpx2.get(application["location"], follow_redirects=True, timeout=10)
            assert answer.status_code == 200
        finally:
            cluster.kubectl("delete", "namespace", APPLICATIONS, "--ignore-not-found", within=120)
