"""Amounts of memory and CPU, in the spellings that Docker and Kubernetes share."""

from __future__ import annotations

import re

_MEMORY = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?\s?([kmgt]?i?)b?", re.IGNORECASE)
_CPU = re.compile(r"([0-9]{1,6})(m|(?:\.[0-9]{1,3})?)")
_FACTORS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


def memory_bytes(text: str) -> int:
    """The bytes of `512MB`, `512M`, `1.5Gi`, `1024`; raises ValueError for anything else, zero included."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None or match[3].lower() not in _FACTORS:
        raise ValueError("an amount of memory is a number with k, M, G, T or Ki, Mi, Gi, Ti, such as 512M or 1.5Gi")
    amount = int(float(f"{match[1]}.{match[2] or 0}") * _FACTORS[match[3].lower()])
    if amount < 1:
        raise ValueError("an amount of memory is more than nothing")
    return amount


def millicpus(text: str) -> int:
    """The thousandths of a CPU of `0.5`, `2` or `500m`; raises ValueError for anything else, zero included."""
    match = _CPU.fullmatch(text.strip())
    if match is None:
        raise ValueError("an amount of CPU is a number of CPUs or thousandths, such as 2, 0.5 or 500m")
    amount = int(match[1]) if match[2] == "m" else round(float(match[1] + match[2]) * 1000)
    if amount < 1:
        raise ValueError("an amount of CPU is more than nothing")
    return amount
