"""Run by test_deploy_faults.py in a network namespace of its own: applications and an engine that goes and comes."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from binder_client.client import Client
from binder_deploy.main import build_app
from binder_protocol.models import Access
from tests.support.deploying import KEY, Templates, docker_backend, settings_for
from tests.support.engine import COMMAND, IMAGE, Engine, own_engine
from tests.support.eventually import eventually
from tests.support.frontdoor import answers, free_door, front_door
from tests.support.server import running

RESTARTED = "it stopped with its engine and is started again"
CASES = {
    "engine stopped": (Engine.stop, False),
    "engine killed": (Engine.kill, False),
    "engine stopped, service restarted": (Engine.stop, True),
}


def main() -> None:
    """Goes through all cases with one engine."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    # Sockets have short names only.
    with tempfile.TemporaryDirectory(prefix="bnd-") as name, own_engine(Path(name) / "engine") as engine:
        for number, (title, (end, service_too)) in enumerate(CASES.items()):
            home = Path(name) / str(number)
            home.mkdir()
            _one(engine, home, end, service_too=service_too)
            print("came back:", title, flush=True)


def _one(engine: Engine, home: Path, end: Callable[[Engine], None], *, service_too: bool) -> None:
    door, templates = free_door(), Templates()
    templates.add("demo", image=IMAGE, command=COMMAND, access=Access.PUBLIC)
    settings = settings_for(home, door, docker_url=engine.url, start_timeout=40)
    urls = {"deploy": "http://127.0.0.1:9"}
    with (
        docker_backend(settings) as backend,
        front_door(door, home / "front-door", urls=urls),
        contextlib.ExitStack() as stack,
    ):

        def come() -> Client:
            url = stack.enter_context(running(build_app(settings, backend=backend, templates=templates)))
            return stack.enter_context(Client(url, KEY))

        client = come()
        before = client.deploy.wait("demo", client.deploy.deploy("demo").id, timeout=60)
        if service_too:
            stack.close()
        end(engine)
        engine.start()
        if service_too:
            client = come()

        def back() -> bool:
            events = [each.message for each in client.deploy.events("demo", before.id)]
            return RESTARTED in events and answers(before.location)

        eventually(back, within=40, what="the application's return")
        assert client.deploy.wait("demo", before.id).location == before.location
        assert len(backend.instances()) == 1
        assert _rules_stand()
        client.deploy.stop("demo", before.id)
        stack.close()


def _rules_stand() -> bool:
    done = subprocess.run(["iptables", "-S", "DOCKER-USER"], capture_output=True, text=True, timeout=10, check=True)
    return "-FWD" in done.stdout


if __name__ == "__main__":
    main()
