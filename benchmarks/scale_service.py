"""A deploy service as in production, for benchmarks.scale: started, asked, measured."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.launcher import Asker
from binder_client.client import Client
from binder_protocol.models import ApplicationStatus, TemplateSpec
from tests.support.eventually import eventually
from tests.support.processes import free_port

NAMESPACE, TEMPLATE = "binder-applications", "bench"
_MIB = 2**20


@dataclass
class Deploy:
    """A deploy service that runs, and its registry."""

    client: Client
    url: str
    key: str = field(repr=False)
    processes: dict[str, psutil.Process]
    database: Path

    @property
    def process(self) -> psutil.Process:
        """The deploy service's own."""
        return self.processes["deploy"]

    @property
    def memory(self) -> float:
        """MiB in use, file pages of programs aside."""
        return self.process.memory_info().rss / _MIB

    @property
    def processor(self) -> float:
        """Seconds of a processor that it has taken."""
        spent = self.process.cpu_times()
        return spent.user + spent.system

    def count(self, *states: ApplicationStatus) -> int:
        """How many applications are in these states."""
        return sum(self.client.deploy.list(status=each, limit=1).total for each in states)

    def launch(self, count: int, clients: int, known: list[str], *words: str) -> float:
        """Asks for so many, whose ids are `known` then; the moment when it began. `words` are the launcher's."""
        command = [sys.executable, "-m", "benchmarks.launcher", self.url, TEMPLATE, str(count), f"--clients={clients}"]
        environment = {**os.environ, "BINDER_API_KEY": self.key}
        with subprocess.Popen([*command, *words], env=environment, stdout=subprocess.PIPE, text=True) as launcher:
            assert launcher.stdout is not None
            began = float(launcher.stdout.readline())
            known += (each.strip() for each in launcher.stdout)
        assert launcher.returncode == 0, "launches were refused"
        return began

    def rows(self) -> dict[str, int]:
        """Rows of each table."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            return {name: database.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names}


@dataclass
class Statuses:
    """Asks for statuses of random ones of the known applications, one after the other, while it is `asking`."""

    url: str
    key: str = field(repr=False)
    known: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._ask, args=(done,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(60)

    def _ask(self, done: threading.Event) -> None:
        with contextlib.closing(Asker(self.url, self.key)) as asker:
            while not done.wait(0.05):
                if self.known:
                    path = f"/applications/{TEMPLATE}/{secrets.choice(self.known)}"
                    began = time.perf_counter()
                    asker.ask("GET", path)
                    self.seconds.append(time.perf_counter() - began)


@contextlib.contextmanager
def deploy_service(home: Path, kubeconfig: Path, most: int) -> Iterator[Deploy]:
    """Registry and deploy service, with the template registered; ended afterwards, with what they launched left."""
    key, registry, deploy = secrets.token_hex(16), free_port(), free_port()
    urls = {"registry": f"http://127.0.0.1:{registry}", "deploy": f"http://127.0.0.1:{deploy}"}
    given = {
        "HOME": home, "API_KEY": key, "LOG_LEVEL": "warning", "REGISTRY_PORT": registry, "DEPLOY_PORT": deploy,
        "REGISTRY_URL": urls["registry"], "DEPLOY_BACKEND": "kubernetes", "DEPLOY_MAX_APPLICATIONS": most,
        "DEPLOY_KUBERNETES_KUBECONFIG": kubeconfig, "DEPLOY_KUBERNETES_NAMESPACE": NAMESPACE,
        "DEPLOY_KUBERNETES_NETWORK_POLICY": "false", "DEPLOY_START_TIMEOUT": "600",
        # Behind a Traefik of ours the service would ask through it, and nothing answers that is simulated.
        "DEPLOY_KUBERNETES_INGRESS_CONTROLLER": "nginx",
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BINDER_")}
    environment |= {f"BINDER_{name}": str(value) for name, value in given.items()}
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(_service(name, urls[name], environment)) for name in urls}
        client = stack.enter_context(Client(urls["deploy"], key, urls=urls))
        client.registry.register(TemplateSpec(name=TEMPLATE, image="registry.test/bench:1", command=["serve"]))
        yield Deploy(client, urls["deploy"], key, processes, home / "deploy/state.db")


@contextlib.contextmanager
def _service(name: str, url: str, environment: dict[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", f"binder_{name}"], env=environment)
    try:
        eventually(lambda: _ready(url), within=120, what=f"the {name} service's start")
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
