"""How many applications have a place on a cluster: by what its nodes have and its quotas allow. Pure.

An estimate from above: what others run on the nodes isn't seen, and the scheduler knows more rules than these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]
Amounts = Mapping[str, int]
"""Of each resource, in thousandths."""

_FACTORS = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip
_PER_APPLICATION = frozenset({
    "pods", "count/pods", "services", "count/services", "count/ingresses.networking.k8s.io",
    "count/httproutes.gateway.networking.k8s.io",
})  # fmt: skip
_ONE = 1000


@dataclass(frozen=True)
class Node:
    """`open`: it takes new pods, as far as it says itself."""

    name: str
    open: bool
    allocatable: Amounts
    labels: Mapping[str, str]
    taints: tuple[Json, ...]
    addresses: tuple[str, ...]


def node(found: Json) -> Node:
    """The node as it matters here."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    return Node(
        name=found["metadata"]["name"],
        open=ready and not spec.get("unschedulable"),
        allocatable=amounts(status.get("allocatable") or {}),
        labels=found["metadata"].get("labels") or {},
        taints=tuple(each for each in spec.get("taints") or [] if each.get("effect") != "PreferNoSchedule"),
        addresses=tuple(
            each["address"] for each in status.get("addresses") or [] if each["type"] in ("InternalIP", "ExternalIP")
        ),
    )


def amounts(told: Json) -> dict[str, int]:
    """Quantities in thousandths; what can't be read is left out."""
    found = {name: _thousandths(str(text)) for name, text in told.items()}
    return {name: amount for name, amount in found.items() if amount is not None}


def requested(pod: Json) -> dict[str, int]:
    """What a pod takes of its node, its place included."""
    taken: Counter[str] = Counter({"pods": _ONE})
    for each in pod["spec"].get("containers") or []:
        taken.update(amounts((each.get("resources") or {}).get("requests") or {}))
    return dict(taken)


def room(pod: Json, nodes: Iterable[Node], taken: Mapping[str, Amounts]) -> int:
    """How many more such pods fit, where `taken` is what others take of each node."""
    wanted = requested(pod)
    return sum(_fit(wanted, each.allocatable, taken.get(each.name, {})) for each in nodes if _takes(each, pod))


def fits_nowhere(pod: Json, nodes: Iterable[Node]) -> bool:
    """Whether there are nodes, and none would have room for the pod if it were empty."""
    known = list(nodes)
    wanted = requested(pod)
    return bool(known) and not any(_fit(wanted, each.allocatable, {}) for each in known)


def allowed(pod: Json, quotas: Iterable[Json]) -> int | None:
    """How many more such pods the namespace's quotas allow; None without one that counts."""
    containers = pod["spec"].get("containers") or []
    wanted: Counter[str] = Counter(dict.fromkeys(_PER_APPLICATION, _ONE))
    for each in containers:
        resources = each.get("resources") or {}
        asked = amounts(resources.get("requests") or {})
        wanted.update(asked)
        wanted.update({f"requests.{name}": amount for name, amount in asked.items()})
        wanted.update({f"limits.{name}": amount for name, amount in amounts(resources.get("limits") or {}).items()})
    found = []
    for quota in quotas:
        status = quota.get("status") or {}
        hard, used = amounts(status.get("hard") or {}), amounts(status.get("used") or {})
        found += [max(0, most - used.get(name, 0)) // wanted[name] for name, most in hard.items() if wanted[name]]
    return min(found, default=None)


def _fit(wanted: Amounts, there: Amounts, taken: Amounts) -> int:
    return min(max(0, there.get(name, 0) - taken.get(name, 0)) // amount for name, amount in wanted.items() if amount)


def _takes(node: Node, pod: Json) -> bool:
    spec = pod["spec"]
    chosen = all(node.labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())
    tolerations = spec.get("tolerations") or []
    return node.open and chosen and all(any(_bears(each, taint) for each in tolerations) for taint in node.taints)


def _bears(toleration: Json, taint: Json) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    if toleration.get("operator") == "Exists":
        return not key or key == taint.get("key")
    return key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _thousandths(text: str) -> int | None:
    number = text.rstrip("KMGTPEikmnu") if "e" not in text.lower()[:-1] else text
    factor = _FACTORS.get(text[len(number) :])
    try:
        return None if factor is None else int(Decimal(number) * factor * _ONE)
    except (InvalidOperation, ValueError, OverflowError):
        return None
