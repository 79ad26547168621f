"""Builds with secrets: the steps see them, and nothing that is left or shown holds them."""

from __future__ import annotations

import base64
import secrets
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import docker
import pytest

from binder_protocol.errors import DependencyFailed, RequestError
from binder_protocol.models import Build, BuildStatus, CredentialKind
from tests.support.building import Suite, build_suite
from tests.support.eventually import eventually
from tests.support.git_server import GitServer
from tests.support.image_bytes import found_in_image
from tests.support.private_index import PrivateIndex, private_index
from tests.support.stub_host import stub_address

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

NONCE = secrets.token_hex(6)
SECRET = f"kept/{secrets.token_hex(16)}+x"
PASSWORD = f"pass/{secrets.token_hex(16)}"
NEEDLES = [
    form
    for word in (SECRET, PASSWORD)
    for form in (word.encode(), base64.b64encode(word.encode())[:24], quote(word, safe="").encode())
]
ARGUMENT = "0.1125"
PRINTS = """#!/bin/bash
set -e
test "$(stat -c %a:%u /run/secrets/licence)" = 400:1000
cat /run/secrets/licence; echo
echo "login: $(printf 'me:%s' "$(cat /run/secrets/licence)" | base64 -w0)"
printf '%0.s-' {1..3990}; cat /run/secrets/licence; echo
python3 -c "import hashlib; print('digest', hashlib.sha256(open('/run/secrets/licence','rb').read()).hexdigest())"
touch built
"""


@pytest.fixture(scope="module")
def index() -> Iterator[PrivateIndex]:
    with stub_address() as address, private_index(address, "people", PASSWORD) as index:
        index.add(f"lab_{NONCE}", "1.2", "ANSWER = 42\n")
        yield index


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory, index: PrivateIndex, engine: docker.DockerClient
) -> Iterator[Suite]:
    with build_suite(tmp_path_factory.mktemp("home")) as suite:
        suite.client.build.credential_put("licence", kind=CredentialKind.VALUE, secret=SECRET)
        suite.client.build.credential_put(
            "lab", kind=CredentialKind.INDEX, url=index.url, user=index.user, secret=PASSWORD
        )
        yield suite
        for build in suite.client.build.status_all():
            for image in engine.images.list(filters={"label": f"org.binder.name={build.name}"}):
                environment = image.labels.get("org.binder.environment")
                engine.images.remove(image.id, force=True)
                for each in engine.images.list(f"binder/environment:{environment}"):
                    engine.images.remove(each.id, force=True)


def check_absent(suite: Suite, engine: docker.DockerClient, build: Build, known: str) -> None:
    """Nothing that is left of the build holds a secret: image, history, labels, log, database, files.

    `known` is in a layer of the image, and found there.
    """
    assert found_in_image(engine, str(build.image), [*NEEDLES, known.encode()]) == {known.encode()}
    history = subprocess.run(
        ["docker", "history", "--no-trunc", str(build.image)], capture_output=True, check=True, timeout=60
    ).stdout
    labels = repr(engine.images.get(str(build.image)).attrs).encode()
    log = "\n".join(line.model_dump_json() for line in suite.log(build)).encode()
    for text in (history, labels, log, build.model_dump_json().encode(), *files_below(suite.home)):
        assert not [each for each in NEEDLES if each in text]


def files_below(home: Path) -> Iterable[bytes]:
    return [each.read_bytes() for each in home.rglob("*") if each.is_file()]


def processes_that_show(needles: list[bytes]) -> list[str]:
    """Of this machine, the steps' own among them: who has one in its arguments or its environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            shown = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue
        if any(each in shown for each in needles):
            found.append(shown.decode("utf-8", "replace")[:200])
    return found


def test_a_secret_reaches_the_steps_and_stays_nowhere(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    files = {"requirements.txt": f"tinynetrc==1.3.1\n# {NONCE}\n", "postBuild": PRINTS + f"sleep 2 {ARGUMENT}\n"}
    source = git.create("own/secret", files)
    name = suite.client.build.start(source.url, secrets=["licence"], sbom=True).name
    shown: list[str] = []

    def ended() -> bool:
        shown.extend(processes_that_show([*NEEDLES, ARGUMENT.encode()]))
        return suite.client.build.status(name).status.ended

    eventually(ended, within=240, every=0.05, what="the end of the build")
    build = suite.client.build.status(name)
    assert build.status is BuildStatus.COMPLETED, (build.failure, [line.text for line in suite.log(build)][-20:])
    assert shown, "the steps' processes are seen"
    assert all(ARGUMENT in each and not any(needle.decode() in each for needle in NEEDLES) for each in shown)
    printed = [line.text for line in suite.log(build) if line.step == "run postBuild" and line.kind == "line"]
    assert "***" in printed
    assert any(line.startswith("login: ") and line.endswith("***") for line in printed)
    assert any(line.startswith("digest ") for line in printed), "it was read"
    check_absent(suite, engine, build, f"# {NONCE}")


def test_a_secret_in_what_a_failed_step_says_last_is_hidden(suite: Suite, git: GitServer) -> None:
    script = "#!/bin/sh\ncat /run/secrets/licence; echo; exit 3\n"
    source = git.create("own/failing-secret", {"postBuild": script})
    build = suite.ended(suite.client.build.start(source.url, secrets=["licence"]).name)
    assert build.failure is not None
    assert build.failure.log == ["***"]
    for text in files_below(suite.home):
        assert not [each for each in NEEDLES if each in text]


def test_an_own_dockerfile_mounts_a_secret_by_its_name(
    suite: Suite, git: GitServer, engine: docker.DockerClient
) -> None:
    text = (
        "FROM binder-base:latest\n"
        f"RUN --mount=type=secret,id=licence,uid=1000 echo {NONCE} > /tmp/known; \\\n"
        " wc -c < /run/secrets/licence > /tmp/size\n"
    )
    source = git.create("own/dockerfile-secret", {"Dockerfile": text})
    build = suite.completed(source.url, secrets=["licence"])
    size = engine.containers.run(str(build.image), ["cat", "/tmp/size"], remove=True, network_mode="none")
    assert int(size) == len(SECRET)
    check_absent(suite, engine, build, f"{NONCE}\n")

    other = git.create("two/dockerfile-secret", {"Dockerfile": text})
    without = suite.ended(suite.client.build.start(other.url).name)
    assert without.status is BuildStatus.FAILED, "what was made with the secret is not taken from the cache"


def test_without_being_asked_for_no_secret_is_there(suite: Suite, git: GitServer) -> None:
    source = git.create("own/no-secret", {"postBuild": f"#!/bin/sh\n# {NONCE}\ntest ! -e /run/secrets/licence\n"})
    suite.completed(source.url)
    with pytest.raises(RequestError, match="'nothing'"):
        suite.client.build.start(source.url, secrets=["nothing"])


def test_a_private_index_serves_the_build_that_names_it_alone(
    suite: Suite, git: GitServer, engine: docker.DockerClient, index: PrivateIndex
) -> None:
    files = {"requirements.txt": f"lab-{NONCE}\ntinynetrc==1.3.1\n"}
    source = git.create("one/private", files)
    build = suite.completed(source.url, within=240, secrets=["lab"])
    command = ["python", "-c", f"import lab_{NONCE}, tinynetrc; print(lab_{NONCE}.ANSWER)"]
    assert engine.containers.run(str(build.image), command, remove=True, network_mode="none").strip() == b"42"
    assert f"lab_{NONCE}==1.2" in suite.client.build.lock(build.name).packages
    check_absent(suite, engine, build, f"lab-{NONCE}\ntiny")

    served = len(index.served)
    other = git.create("two/private", files)
    refused = suite.ended(suite.client.build.start(other.url).name, within=240)
    assert refused.failure is not None
    assert refused.failure.type == DependencyFailed.type, "neither its environment nor its cached wheel is shared"
    assert len(index.served) == served
    again = suite.completed(other.url, within=240, secrets=["lab"])
    assert "install requirements.txt" in {line.step for line in suite.log(again)}


def test_a_wrong_password_fails_with_a_type_and_says_no_password(
    suite: Suite, git: GitServer, index: PrivateIndex
) -> None:
    wrong = f"wrong/{secrets.token_hex(16)}"
    suite.client.build.credential_put("closed", kind=CredentialKind.INDEX, url=index.url, user="people", secret=wrong)
    source = git.create("three/private", {"requirements.txt": f"lab-{NONCE}\n# wrong\n"})
    began = time.monotonic()
    build = suite.ended(suite.client.build.start(source.url, secrets=["closed"]).name, within=240)
    assert build.failure is not None
    assert build.failure.type == DependencyFailed.type
    assert any("--secret NAME" in each for each in build.failure.suggestions)
    assert time.monotonic() - began < 120
    for text in files_below(suite.home):
        assert wrong.encode() not in text
        assert quote(wrong, safe="").encode() not in text
