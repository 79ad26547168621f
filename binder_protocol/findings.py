"""What was looked at on a machine or in a cluster, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """A warning says what works less well than it could; a failure what doesn't work."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One check: its name, its verdict, what was found, and what mends it; empty where all is well."""

    check: str
    verdict: Verdict
    what: str
    mend: str = ""
