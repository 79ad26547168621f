"""JSON from outside, read strictly: no NaN, no key twice, no depth without end."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from binder_protocol.errors import RequestError

MAX_DEPTH = 32


def parse(body: bytes) -> Any:
    """The value that `body` holds. Raises RequestError."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of more digits than Python reads
        raise RequestError("the body is nested too deeply or holds a number without end") from error
    if _depth(value) > MAX_DEPTH:
        raise RequestError(f"the body is nested more than {MAX_DEPTH} levels deep")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"{name} is not a number in JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"{twice[:100]!r} is given twice")
    return found


def _depth(value: Any) -> int:
    level, layer = 0, [value]
    while layer:
        children: list[Any] = []
        for each in layer:
            if isinstance(each, dict):
                children.extend(each.values())
            elif isinstance(each, list):
                children.extend(each)
        level += 1
        if level > MAX_DEPTH:
            break
        layer = [each for each in children if isinstance(each, dict | list)]
    return level
