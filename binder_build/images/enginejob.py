"""A program: one long piece of work with the engine over docker-py, its progress printed as BuildKit's records.

docker-py can't end a request that hangs; a process can be ended, and the engine then drops its work. It reads its job
as JSON from standard input: the classic builder's build, a push, a pull. `images.py` runs it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STEP = re.compile(r"Step (\d+/\d+) : (.*)", re.S)
_RETRYING = b"the registry doesn't take the image just now; the engine tries again for about a minute"
_TIME = "1970-01-01T00:00:00Z"


class ClassicRecords:
    """The classic builder's messages as BuildKit's records."""

    def __init__(self) -> None:
        self._name = ""
        self._cached = False

    def convert(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The records that one message stands for."""
        text = str(message.get("stream", ""))
        step = _STEP.match(text)
        if step:
            yield from self.end()
            self._name, self._cached = f"[{step[1]}] {' '.join(step[2].split())}", False
            yield self._vertex(started=_TIME)
        elif text.startswith(" ---> Using cache"):
            self._cached = True
        elif "error" in message:
            yield from self.end(str(message["error"]))
        elif text and self._name and not text.startswith((" ---> ", "Removing intermediate container")):
            data = base64.b64encode(text.encode("utf-8", "replace")).decode()
            yield {"logs": [{"vertex": self._digest(), "stream": 1, "data": data}]}

    def end(self, error: str = "") -> Iterator[dict[str, Any]]:
        """The end of the step that ran."""
        if self._name:
            yield self._vertex(completed=_TIME, error=error, cached=self._cached)
            self._name = ""

    def _vertex(self, **facts: Any) -> dict[str, Any]:
        return {"vertexes": [{"digest": self._digest(), "name": self._name, **facts}]}

    def _digest(self) -> str:
        return hashlib.sha256(self._name.encode()).hexdigest()


def build(client: Any, job: dict[str, Any]) -> int:
    """The classic builder; the image's id goes into the job's metadata file, as buildx writes it."""
    from docker.utils.build import create_archive, exclude_paths

    dockerfile = Path(job["dockerfile"])
    name = ".binder.Dockerfile"
    files = sorted(exclude_paths(job["context"], job["ignore"], dockerfile=name))
    with tempfile.TemporaryFile(dir=dockerfile.parent) as archive:
        create_archive(job["context"], files, archive, gzip=False, extra_files=[(name, dockerfile.read_text())])
        archive.seek(0)
        messages = client.build(
            fileobj=archive,
            custom_context=True,
            dockerfile=name,
            tag=job["tag"],
            labels=job["labels"],
            buildargs=job["build_args"],
            container_limits=job["limits"],
            nocache=job["no_cache"],
            target=job["target"],
            rm=True,
            forcerm=True,
            decode=True,
            timeout=None,
        )
        return _report(messages, Path(job["metadata"]))


def _report(messages: Iterator[dict[str, Any]], metadata: Path) -> int:
    records, failed = ClassicRecords(), False
    for message in messages:
        for record in records.convert(message):
            _print(record)
        failed = failed or "error" in message
        if "ID" in (message.get("aux") or {}):
            metadata.write_text(json.dumps({"containerimage.config.digest": message["aux"]["ID"]}))
        if "error" in message:
            print(f"ERROR: {message['error']}", flush=True)
    for record in records.end():
        _print(record)
    return int(failed)


def push(client: Any, job: dict[str, Any]) -> int:
    """Pushes; the digest goes into the job's metadata file. That the engine tries again is said once."""
    repository, _, tag = job["reference"].rpartition(":")
    told = False
    for message in client.push(repository, tag=tag, stream=True, decode=True):
        if "error" in message:
            print(f"ERROR: {message['error']}", flush=True)
            return 1
        if not told and str(message.get("status", "")).startswith("Retrying"):
            told = True
            _print({"warnings": [{"short": base64.b64encode(_RETRYING).decode()}]})
        digest = (message.get("aux") or {}).get("Digest")
        if digest:
            Path(job["metadata"]).write_text(json.dumps({"containerimage.digest": digest}))
    return 0


def pull(client: Any, job: dict[str, Any]) -> int:
    """Pulls; the digest goes into the job's metadata file."""
    repository, _, tag = job["reference"].rpartition(":")
    for message in client.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in message:
            print(f"ERROR: {message['error']}", flush=True)
            return 1
        status = str(message.get("status", ""))
        if status.startswith("Digest: "):
            Path(job["metadata"]).write_text(json.dumps({"containerimage.digest": status.removeprefix("Digest: ")}))
    return 0


def _print(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


def main() -> int:
    """Runs the job on standard input; the exit code is 0 when it was done."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    job = json.load(sys.stdin)
    try:
        client = docker.APIClient(base_url=job["host"], version="auto", timeout=600)
        return {"build": build, "pull": pull, "push": push}[job["verb"]](client, job)
    except (DockerException, RequestException) as error:
        print(f"ERROR: {error}", flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
