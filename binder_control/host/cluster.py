"""What doctor finds of a cluster: the deploy service's own program looks, with that service's settings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from binder_protocol.findings import Finding, Verdict

_SECONDS = 60
_CHECK = "binder_deploy.check"


def cluster_findings(environ: Mapping[str, str]) -> list[Finding]:
    """Findings in the order in which they are best mended; none without a cluster."""
    command = [sys.executable, "-P", "-m", _CHECK]
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=_SECONDS, check=False)
        told = json.loads(done.stdout)
        return [Finding(each["check"], Verdict(each["verdict"]), each["what"], each["mend"]) for each in told]
    except subprocess.TimeoutExpired:
        return [Finding("cluster", Verdict.FAILED, f"nothing was found within {_SECONDS} s", "kubectl get nodes")]
    except (OSError, ValueError, KeyError, TypeError):
        return [Finding("cluster", Verdict.FAILED, "it could not be looked at", "binder-control settings deploy")]
