"""A Docker engine of a test's own, to be stopped, killed and started again.

Only in a network namespace of its own (`unshare --net`): two engines in one fight over docker0 and the firewall.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from binder_control import frontdoor
from tests.support.eventually import eventually

IMAGE = "answers:latest"
"""One static program that serves HTTP: Traefik, as it is at hand anyway. What it doesn't know it answers with 404."""

COMMAND = ["/traefik", "--entrypoints.web.address=:8888", "--ping=true", "--ping.entrypoint=web"]


def engine_program() -> str | None:
    """The engine's program, or None where this machine has only the engine of somebody else."""
    return shutil.which("dockerd") or next(
        (str(path) for path in (Path("/opt/binder/engine/usr/sbin/dockerd"),) if path.is_file()), None
    )


@dataclass
class Engine:
    """`start` again after `stop` or `kill`: what it knows is kept."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/docker.sock"

    def start(self) -> None:
        program = engine_program()
        assert program is not None
        words = [
            program, "--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec",
            "--pidfile", f"{self.directory}/docker.pid", "-H", self.url,
        ]  # fmt: skip
        path = f"{Path(program).parent}:{Path(program).parent.parent}/bin:{os.environ['PATH']}"
        with (self.directory / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "PATH": path})
        eventually(self._answers, within=60, what="the engine's start")

    def stop(self) -> None:
        """As at a shutdown: it stops its containers."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> None:
        """Ends it without any chance to tidy up; its containers' processes live on for the moment."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def make_image(self) -> None:
        """Imports IMAGE."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(frontdoor.program().resolve(), "traefik")
        api = docker.APIClient(base_url=self.url, timeout=120)
        with contextlib.closing(api):
            api.import_image(src=archive.getvalue(), repository=IMAGE.partition(":")[0], tag="latest")  # type: ignore[no-untyped-call]

    def _answers(self) -> bool:
        with contextlib.suppress(docker.errors.DockerException):
            api = docker.APIClient(base_url=self.url, timeout=5)
            with contextlib.closing(api):
                return bool(api.ping())
        return False


@contextmanager
def own_engine(directory: Path) -> Iterator[Engine]:
    """A running engine with IMAGE; gone afterwards, with its containers."""
    engine = Engine(directory)
    directory.mkdir(parents=True)
    try:
        engine.start()
        engine.make_image()
        yield engine
        _empty(engine)
    finally:
        if engine.process is not None and engine.process.poll() is None:
            engine.stop()
        for mounted in (f"{directory}/data", f"{directory}/exec"):
            subprocess.run(["umount", "--lazy", mounted], capture_output=True, timeout=10, check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _empty(engine: Engine) -> None:
    """Removes the containers, whose processes would outlive it."""
    if engine.process is not None and engine.process.poll() is not None:
        engine.start()
    with contextlib.closing(docker.APIClient(base_url=engine.url, timeout=60)) as api:
        for each in api.containers(all=True):
            api.remove_container(each["Id"], v=True, force=True)
