"""What a start of the command line costs, beside a Python that does nothing.

    python benchmarks/client_import.py [--rounds 15]

The rounds go through all cases in turn, so that a busy machine disturbs all of them. Prints medians and the quickest
rounds, and exits with 1 where even the quickest import of the command line takes longer than 0.3 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

LIMIT = 0.3
CASES = {
    "python -c pass": "pass",
    "import binder_client.cli": "import binder_client.cli",
    "import binder_client.client": "import binder_client.client",
    "binder-client --help": "import sys; sys.argv[1:] = ['--help']; from binder_client.cli import main; main()",
}


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for script in CASES.values():
        run(script)  # compiled once, read once
    for _ in range(rounds):
        for name, script in CASES.items():
            taken[name].append(run(script))
    bare = statistics.median(taken["python -c pass"])
    print(f"{'':<28} {'median':>8} {'ratio':>6} {'quickest':>9}")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:<28} {median:>6.3f} s {median / bare:>6.1f} {min(seconds):>7.3f} s")
    above = min(taken["import binder_client.cli"]) - min(taken["python -c pass"])
    print(f"\nimport binder_client.cli: {above:.3f} s above bare, at most {LIMIT} s wanted")
    sys.exit(above > LIMIT)


def run(script: str) -> float:
    """The seconds that a new Python takes for `script`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
