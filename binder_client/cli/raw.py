"""`api SECTION OPERATION`: a command for each row of the table of operations, under its name there (as in 2016).

What 2016 took by position is taken so here, in its order; everything may be given as an option, too.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from binder_client.cli.output import Output
from binder_client.cli.session import session
from binder_client.client import SECTIONS
from binder_protocol import operations
from binder_protocol.errors import RequestError
from binder_protocol.models import RequestModel
from binder_protocol.models.base import kebab
from binder_protocol.operations import OPERATIONS, Operation

_BY_POSITION = {
    operations.BUILD_START: ("repository", "force"),
    operations.BUILD_PLAN: ("repository",),
    operations.DEPLOY_DEPLOY: ("template_name", "cull_timeout"),
    operations.DEPLOY_EXTEND: ("milliseconds",),
}
_WITHOUT_PATH = {operations.DEPLOY_STATUS_ALL: operations.DEPLOY_LIST}
"""What answers when 2016's optional part of the path is left out."""
_SECRET = ("credential", "secret")
"""No options for these: what is in argv is seen by all users of a machine. `--body -` takes them."""
_MAX_BODY = 2**20


def commands() -> dict[str, Any]:
    """The commands of `api`, by section."""
    group = typer.Typer(rich_markup_mode=None)
    for section in SECTIONS:
        each = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=f"The operations of {section}.")
        for operation in OPERATIONS:
            if operation.section == section:
                each.command(operation.name, help=_help(operation))(_command(operation))
        group.add_typer(each, name=section)
    return dict(typer.main.get_group(group).commands)


def _help(operation: Operation) -> str:
    return f"{operation.summary}: {operation.method} {operation.path}"


def _command(operation: Operation) -> Callable[..., None]:
    """A function with a parameter for everything that the operation takes; Typer reads it from the signature."""
    parameters = list(_parameters(operation))

    def run(context: typer.Context, **values: Any) -> None:
        output = Output(as_json=True)
        with session(context, output) as client:
            path, query, body = _sorted(operation, values)
            called = operation
            if path == (None,) and operation in _WITHOUT_PATH:
                called, path = _WITHOUT_PATH[operation], ()
            parts = tuple(str(part) for part in path)
            if query.get("follow"):
                records = client.calls.records(called, called.response, *parts, follow_up=True, query=query)
                for record in records:
                    output.json(record.wire(), indent=None)
                return
            _print(output, client.calls.raw(called, *parts, body=body, query=query), operation)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {"context": typer.Context, **{each.name: each.annotation for each in parameters}}
    return run


def _parameters(operation: Operation) -> Iterator[inspect.Parameter]:
    for name in operation.path_parameters:
        if operation in _WITHOUT_PATH:
            yield _parameter(name, str | None, typer.Argument(metavar=name.upper()), default=None)
        else:
            yield _parameter(name, str, typer.Argument(metavar=name.upper()))
    fields = operation.request.model_fields if operation.request is not None else {}
    for name in _BY_POSITION.get(operation, ()):
        metavar = kebab(name).upper()
        yield _parameter(f"argument_{name}", str | None, typer.Argument(metavar=metavar), default=None)
    for name in fields:
        if name not in _SECRET:
            yield _parameter(
                f"field_{name}", str | None, typer.Option(f"--{kebab(name)}", metavar="VALUE"), default=None
            )
    if fields:
        help_text = "A JSON file with the whole request; `-` is stdin."
        yield _parameter("body", str | None, typer.Option("--body", metavar="FILE", help=help_text), default=None)
    for name in operation.query:
        if name == "follow":
            yield _parameter("query_follow", bool, typer.Option("--follow"), default=False)
        else:
            yield _parameter(
                f"query_{name}", str | None, typer.Option(f"--{kebab(name)}", metavar="VALUE"), default=None
            )
    # The answer is JSON in any case; the option is taken as everywhere else.
    yield _parameter("as_json", bool, typer.Option("--json", hidden=True), default=False)


def _parameter(name: str, kind: Any, info: Any, *, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, info]
    )


def _sorted(
    operation: Operation, values: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], RequestModel | None]:
    """The values as parts of the path, as the query, and as the request."""
    path = tuple(values[name] for name in operation.path_parameters)
    query = {name: values[f"query_{name}"] for name in operation.query}
    if operation.request is None:
        return path, query, None
    fields = _json_file(values["body"]) if values["body"] else {}
    for prefix in ("argument_", "field_"):
        for name in operation.request.model_fields:
            if (given := values.get(prefix + name)) is not None:
                fields[kebab(name)] = _value(operation.request, name, given)
    from binder_client.calls import request_model

    return path, query, request_model(operation.request, **fields)


def _value(model: type[RequestModel], name: str, text: str) -> Any:
    """`text` itself, or the JSON in it where the field is an object or a list."""
    schema = model.model_json_schema(by_alias=False)
    if not _is_compound(schema["properties"][name], schema.get("$defs", {})):
        return text
    return _json(text, f"--{kebab(name)}")


def _is_compound(schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _is_compound(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return any(_is_compound(each, definitions) for each in schema["anyOf"])
    return schema.get("type") in ("object", "array")


def _json_file(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read(_MAX_BODY) if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{name} can't be read: {error}", suggestions=[]) from None
    body = _json(text, name)
    if not isinstance(body, dict):
        raise RequestError(f"{name} holds no JSON object")
    return body


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(
            f"{where} holds no JSON", suggestions=['give it as JSON, such as {"NAME": "value"}']
        ) from None


def _print(output: Output, answer: bytes, operation: Operation) -> None:
    if operation.stream:
        for line in answer.decode("utf-8", "replace").splitlines():
            output.line(line)
        return
    from binder_protocol.errors import BadResponse

    try:
        output.json(json.loads(answer))
    except (ValueError, RecursionError):
        raise BadResponse("the server's answer isn't JSON") from None
