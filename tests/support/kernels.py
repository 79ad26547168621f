"""A notebook kernel, used as a browser would: REST for its life, a web socket for its messages."""

from __future__ import annotations

import json
import time
import uuid
from urllib.parse import parse_qs, urlsplit

import httpx2
import websocket


def run_in_kernel(location: str, code: str, within: float = 60) -> str:
    """What `code` prints, without the last line's end, in a new Python kernel of the Jupyter server at `location`.

    `location` is complete, with its token. An error in the code is an AssertionError with its traceback.
    """
    parts = urlsplit(location)
    token = parse_qs(parts.query)["token"][0]
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    headers = {"Authorization": f"token {token}"}
    with httpx2.Client(headers=headers, timeout=within) as http:
        kernel = http.post(f"{base}api/kernels", json={"name": "python3"}).raise_for_status().json()["id"]
        try:
            return _execute(f"ws{base.removeprefix('http')}api/kernels/{kernel}/channels?token={token}", code, within)
        finally:
            http.delete(f"{base}api/kernels/{kernel}")


def _execute(address: str, code: str, within: float) -> str:
    deadline = time.monotonic() + within
    connection = websocket.create_connection(address, timeout=within)
    try:
        request = _execute_request(code)
        connection.send(json.dumps(request))
        printed: list[str] = []
        while time.monotonic() < deadline:
            message = json.loads(connection.recv())
            if message.get("parent_header", {}).get("msg_id") != request["header"]["msg_id"]:
                continue
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            elif message["msg_type"] == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(printed).rstrip("\n")
        raise AssertionError(f"the kernel didn't finish within {within} s")
    finally:
        connection.close()


def _execute_request(code: str) -> dict[str, dict[str, object]]:
    session = uuid.uuid4().hex
    header = {
        "msg_id": uuid.uuid4().hex,
        "session": session,
        "username": "test",
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}  # type: ignore[dict-item]
