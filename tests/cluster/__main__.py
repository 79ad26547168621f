"""python -m tests.cluster build | up [--fresh] | down [--remove] | kubeconfig"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.cluster.binary import binary, build, enforcer, kwok
from tests.cluster.down import down
from tests.cluster.layout import Layout
from tests.cluster.up import Cluster


def main() -> None:
    """Does one of them; see docs/kubernetes-tests.md."""
    given = _parser().parse_args()
    # Ended from outside it ends what it started, a compiler above all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    layout = Layout(given.state, given.run, given.cgroup)
    began = time.monotonic()
    if given.verb == "kubeconfig":
        print(layout.kubeconfig)
        return
    if given.verb == "build":
        # The others are wanted by few: the first is not to wait for them.
        done = f"built {build()}, {enforcer().build()} and {kwok().build()}"
    elif given.verb == "up":
        Cluster(layout, build()).up(fresh=given.fresh)
        done = f"up; export KUBECONFIG={layout.kubeconfig}"
    else:
        down(layout, binary(), remove=given.remove)
        done = "down"
    print(f"{time.monotonic() - began:.1f} s: {done}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    usual = Layout()
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="A Kubernetes of one node, for tests.")
    parser.add_argument("verb", choices=["build", "up", "down", "kubeconfig"])
    parser.add_argument("--fresh", action="store_true", help="up: without the objects of the last time")
    parser.add_argument("--remove", action="store_true", help="down: with all objects and images")
    parser.add_argument("--state", type=Path, default=usual.state)
    parser.add_argument("--run", type=Path, default=usual.run)
    parser.add_argument("--cgroup", default=usual.cgroup)
    return parser


if __name__ == "__main__":
    main()
