"""Writes docs/api.md from the table of operations: `python scripts/api_docs.py > docs/api.md`."""

from __future__ import annotations

from binder_protocol import operations
from binder_protocol.errors import BinderError, error_classes
from binder_protocol.models import WireModel
from binder_protocol.operations import OPERATIONS, Auth, Operation

HEAD = """\
# API

Every service answers JSON over HTTP; the front door (port 8080) carries all of them by path. This page is made from the
table in `binder_protocol/operations.py`; each service also describes itself at `/openapi.json`.

- **Key.** `Authorization: Bearer KEY`; `token KEY` and the raw key work, too. Operations marked *open* need none;
  *launch* needs one unless the setting `public-launch` is on.
- **Fields** are kebab-case; requests may spell them in camelCase or snake_case. Unknown fields of a request are errors.
  Times are RFC 3339 in UTC, durations named `cull-timeout` and `max-age` are milliseconds.
- **Lists** are JSON arrays, paged by `limit` and `offset`, with their whole length in `X-Total-Count`.
- **Streams**: with `follow=true`, server-sent events, each with an id; send `Last-Event-ID` to go on where a connection
  was lost. The last event is of type `end`; a connection that ends without it was lost. Without `follow`, JSON lines,
  or plain text with `format=text`.
- **Errors** are `{"type": …, "error": what happened, "suggestions": [what to do]}`. A trailing slash is optional.
- **Requests** carry an `X-Request-ID`, yours or one that is made; it is in the answer and in every service's log.
- **Clients of 2016** work unchanged: whoever sends the raw key is answered 200 where others get 202.
- Every service has `/healthz` (it runs), `/readyz` (what it needs answers), `/metrics`, `/version`, `/openapi.json`.
"""
SECTIONS = {"build": 8082, "registry": 8083, "deploy": 8084, "health": 8086}
AUTH = {Auth.OPEN: "open", Auth.KEY: "key", Auth.LAUNCH: "launch"}


def fields(model: type[WireModel]) -> str:
    """The fields of a model as they are spelled on the wire, required ones in bold."""
    return ", ".join(
        f"**`{field.alias}`**" if field.is_required() else f"`{field.alias}`" for field in model.model_fields.values()
    )


def described(operation: Operation) -> str:
    """One operation as a section of the page."""
    methods = operation.method if operation.also is None else f"{operation.method} or {operation.also}"
    lines = [
        f"### {operation.section} {operation.name}",
        "",
        f"`{methods} {operation.path}` · {AUTH[operation.auth]}",
        "",
        f"{operation.summary}.",
        "",
    ]
    if operation.request is not None:
        lines.append(f"- body `{operation.request.__name__}`: {fields(operation.request)}")
    if operation.query:
        lines.append(f"- query: {', '.join(f'`{name}`' for name in operation.query)}")
    answer = operation.response
    shape = "list of " if operation.many else "stream of " if operation.stream else ""
    lines.append(f"- answer {operation.status}, {shape}`{answer.__name__}`: {fields(answer)}")
    lines.append(f"- errors: {', '.join(f'`{cls.type}` {cls.status}' for cls in operation.errors)}")
    return "\n".join(lines)


def page() -> str:
    """The whole of docs/api.md."""
    parts = [HEAD]
    for section, port in SECTIONS.items():
        parts.append(f"## {section.capitalize()} (port {port})\n")
        parts.extend(f"{described(each)}\n" for each in OPERATIONS if each.section == section)
    parts.append("## Types of errors\n")
    parts.append(f"Any operation may answer {', '.join(f'`{cls.type}`' for cls in operations.COMMON_ERRORS)}.\n")
    parts.append("| type | status | meaning |\n| --- | --- | --- |")
    rows: dict[tuple[str, int], type[BinderError]] = {(cls.type, cls.status): cls for cls in error_classes()}
    parts.extend(f"| `{kind}` | {status} | {cls.default_message} |" for (kind, status), cls in rows.items())
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page(), end="")
