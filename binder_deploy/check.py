"""`python -m binder_deploy.check` looks at the cluster of the settings, and prints what it finds as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing

from binder_deploy.launches import usual
from binder_deploy.settings import DeploySettings
from binder_protocol.findings import Finding, Verdict
from binder_protocol.service.settings import ConfigError, load_settings

_ANSWER_SECONDS = 5.0


def findings(settings: DeploySettings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Those of the cluster that the settings name; none on another backend. Raises ConfigError."""
    if settings.backend != "kubernetes":
        return
    from binder_deploy.backends.kubernetes.cluster import Cluster
    from binder_deploy.backends.kubernetes.examiner import Examiner
    from binder_deploy.backends.kubernetes.sites import kubeconfig_of, site_of

    given = settings.kubernetes
    site = site_of(given, settings.instance or "doctor", guard=settings.deploy_url, reachable=settings.reachable)
    sample = usual(settings.policy).model_copy(update={"image": "doctor"})
    file = kubeconfig_of(given, environ)
    path = None if file is None else str(file)
    with closing(Cluster(path, given.context, answer_seconds=_ANSWER_SECONDS)) as cluster:
        yield from Examiner(cluster, site, file, sample).findings()


def main() -> None:
    """Prints a list of findings; what keeps it from looking is one of them."""
    try:
        found = list(findings(load_settings(DeploySettings), os.environ))
    except ModuleNotFoundError as error:
        mend = "pip install 'binder[kubernetes]'"
        found = [Finding("cluster", Verdict.FAILED, f"there is no {error.name} on this machine", mend)]
    except ConfigError as error:
        found = [Finding("cluster", Verdict.FAILED, str(error)[:1_000], "mend the settings below [deploy.kubernetes]")]
    json.dump([dataclasses.asdict(each) for each in found], sys.stdout)


if __name__ == "__main__":
    main()
