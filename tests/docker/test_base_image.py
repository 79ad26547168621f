"""binder-base as it runs: who it runs as, what it starts, and what it doesn't keep of the machine that made it."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from binder_control.host.base_image import BaseImage, recipe_version
from binder_control.host.machine import Machine
from binder_control.host.network import BuildNetwork, build_network
from binder_control.host.probe import parse_os_release
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

TOKEN = "a-token"
BASE_PATH = "/user/abc/"


def docker(*arguments: str, text: str | None = None, timeout: float = 120) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image's id; made first where the engine has an older one or none."""
    log = tmp_path_factory.mktemp("base") / "log"
    distribution = parse_os_release(Path("/etc/os-release").read_text())
    return BaseImage(Machine(log), distribution, build_network(os.environ)).ensure()


@pytest.fixture(scope="module")
def application(base: str) -> Iterator[str]:
    """A container that runs Jupyter the way the deploy service starts it."""
    name = f"binder-test-base-{uuid.uuid4().hex[:8]}"
    environment = {"JUPYTER_TOKEN": TOKEN, "BINDER_BASE_PATH": BASE_PATH, "BINDER_PORT": "8899"}
    variables = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
    safety = ("--cap-drop=ALL", "--security-opt=no-new-privileges")
    docker("run", "--detach", "--name", name, "--label", "org.binder.test", *safety, *variables, base)
    try:
        yield name
    finally:
        docker("rm", "--force", name)


def inside(base: str, script: str, *options: str) -> str:
    """What a shell script prints in a new container of the image, past its entry point."""
    return docker("run", "--rm", "--interactive", *options, "--entrypoint", "sh", base, "-eu", text=script)


def address(container: str) -> str:
    found = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container).strip()
    return f"http://{found}:8899"


def status(url: str, **headers: str) -> int | None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_making_it_again_takes_no_time_and_gives_the_same(base: str, tmp_path: Path) -> None:
    distribution = parse_os_release(Path("/etc/os-release").read_text())
    log = tmp_path / "log"
    assert BaseImage(Machine(log), distribution, BuildNetwork()).ensure() == base
    assert "build" not in log.read_text()


def test_it_says_what_it_is_and_what_it_was_made_from(base: str) -> None:
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", base))
    assert labels["org.binder.app"] == "jupyter"
    assert labels["org.binder.base-version"] == recipe_version()
    assert labels["org.binder.base-origin"]
    recorded = inside(base, "cat /opt/binder/share/*")
    assert "git=1:" in recorded
    assert "jupyterlab==" in recorded


def test_its_user_owns_home_and_environment_and_nothing_else(base: str) -> None:
    said = inside(
        base, 'id -u; id -g; echo "$HOME"; stat -c %u "$HOME" /opt/binder/env /opt/binder/bin /usr/local/bin/uv'
    )
    assert said.split() == ["1000", "1000", "/home/jovyan", "1000", "1000", "0", "0"]


def test_no_program_lends_the_rights_of_another_user(base: str) -> None:
    assert inside(base, "find / -xdev -perm /6000 -type f", "--user=root").split() == []


def test_its_tools_come_from_where_they_should(base: str) -> None:
    said = inside(base, "for tool in python pip jupyter uv git tini; do command -v $tool; done")
    assert said.split() == [
        "/opt/binder/env/bin/python",
        "/opt/binder/env/bin/pip",
        "/opt/binder/env/bin/jupyter",
        "/usr/local/bin/uv",
        "/usr/bin/git",
        "/usr/bin/tini",
    ]


def test_its_packages_fit_together(base: str) -> None:
    assert "No broken requirements" in inside(base, "pip check")


def test_jupyter_answers_below_its_base_path_to_the_token_alone(application: str) -> None:
    url = address(application) + BASE_PATH
    eventually(lambda: status(f"{url}api") == 200, within=30)
    assert status(f"{url}lab?token={TOKEN}") == 200
    assert status(f"{url}api/contents") == 403
    assert status(f"{url}api/contents", Authorization=f"token {TOKEN}") == 200
    assert status(address(application) + "/lab") == 404


def test_tini_is_the_first_process_and_passes_signals_on(base: str) -> None:
    name = docker(
        "run", "--detach", "--label", "org.binder.test", base, "sh", "-c", "trap 'exit 7' TERM; sleep 60 & wait"
    ).strip()
    try:
        assert docker("exec", name, "cat", "/proc/1/comm").strip() == "tini"
        docker("kill", "--signal=TERM", name)
        assert docker("wait", name, timeout=10).strip() == "7"
    finally:
        docker("rm", "--force", name)


def test_a_kernel_of_its_environment_runs_code(base: str) -> None:
    script = """
from jupyter_client.manager import run_kernel
with run_kernel(kernel_name="python3") as client:
    said = []
    client.execute_interactive("print(6 * 7)", timeout=30, output_hook=lambda m: said.append(m["content"].get("text")))
    print(said)
"""
    assert r"'42\n'" in docker("run", "--rm", "--interactive", base, "python", "-", text=script)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A directory that the image's user can read."""
    tmp_path.chmod(0o755)
    return tmp_path


def started(base: str, repository: Path, *command: str) -> str:
    """What the command prints, run by the image's entry point in this repository."""
    mount = ("--volume", f"{repository}:/repo:ro", "--env", "REPO_DIR=/repo")
    return docker("run", "--rm", *mount, base, *command)


@pytest.mark.parametrize("place", ["binder/start", ".binder/start", "start"])
def test_a_start_script_gets_the_command(base: str, repository: Path, place: str) -> None:
    script = repository / place
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\nexport SAID="by start"\nexec "$@"\n')
    assert started(base, repository, "sh", "-c", 'echo "$SAID"; pwd').splitlines() == ["by start", "/repo"]


def test_a_binder_directory_hides_a_start_script_of_the_root(base: str, repository: Path) -> None:
    (repository / "binder").mkdir()
    (repository / "start").write_text("#!/bin/sh\necho hidden\n")
    assert started(base, repository, "echo", "seen").strip() == "seen"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('words=(one two); export SAID="${words[1]}"; exec "$@"\n', 0o755),
        ('words=(one two); export SAID="${words[1]}"; exec "$@"\n', 0o644),
        ('#!/bin/bash\nwords=(one two); export SAID="${words[1]}"; exec "$@"\n', 0o644),
        ("#!/usr/bin/env python3\nimport os, sys\nos.execvpe(sys.argv[1], sys.argv[1:], {'SAID': 'two'})\n", 0o755),
    ],
    ids=["no-first-line", "plain-file", "not-executable", "python"],
)
def test_a_start_script_runs_whatever_it_is_written_in(base: str, repository: Path, text: str, mode: int) -> None:
    (repository / "start").write_text(text)
    (repository / "start").chmod(mode)
    assert started(base, repository, "sh", "-c", 'echo "$SAID"').strip() == "two"


def test_repositories_learn_where_they_answer(base: str) -> None:
    variables = "echo $JUPYTERHUB_SERVICE_PREFIX $JUPYTERHUB_USER ${JUPYTERHUB_API_TOKEN-}"
    below = docker("run", "--rm", "--env", f"BINDER_BASE_PATH={BASE_PATH}", base, "sh", "-c", variables)
    assert below.split() == [BASE_PATH, "jovyan"]
    assert docker("run", "--rm", base, "sh", "-c", variables).split() == ["/", "jovyan"]


def test_what_repositories_expect_is_where_they_look_for_it(base: str) -> None:
    said = inside(base, "for tool in less unzip wget bzip2 xz; do command -v $tool; done; echo $NB_PYTHON_PREFIX")
    assert said.split()[-1] == "/opt/binder/env"
    assert len(said.split()) == 6
    assert inside(base, "/srv/conda/envs/notebook/bin/python -c 'import sys; print(sys.prefix)'").strip() in (
        "/opt/binder/env",
        "/srv/conda/envs/notebook",
    )


def test_a_user_may_install_for_himself(base: str) -> None:
    script = """
    place=$(python -m site --user-site)
    mkdir -p "$place"
    echo 'print("mine")' >"$place/mine.py"
    python -c 'import mine'
    pip install --quiet --user --dry-run --no-index pip
    """
    assert inside(base, script).strip() == "mine"


def test_its_user_may_change_the_environment(base: str) -> None:
    script = """
    place=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo 'print("mine")' >$place/mine.py
    python -c 'import mine'
    uv pip uninstall --quiet pip
    ! python -c 'import pip' 2>/dev/null
    """
    assert inside(base, script).strip() == "mine"


def test_nothing_of_the_makers_network_is_left_in_it(base: str, tmp_path: Path) -> None:
    """Neither the settings of those who ask for it, nor the company's CA: it is read, never kept."""
    config = docker("inspect", base) + docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", base)
    network = build_network(os.environ)
    for value in (*network.proxies.values(), *network.indexes.values()):
        assert value not in config
    for name in ("SSL_CERT_FILE", "PIP_CERT", "HTTP_PROXY", "HTTPS_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        assert f'"{name}=' not in config
    container = docker("create", base).strip()
    try:
        archive = tmp_path / "image.tar"
        docker("export", "--output", str(archive), container)
    finally:
        docker("rm", container)
    own = certificates(network.ca.read_text()) if network.ca else set()
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        bundle = tar.extractfile("etc/ssl/certs/ca-certificates.crt")
        assert bundle
        public = certificates(bundle.read().decode())
    assert not {name for name in names if name.startswith("run/secrets")}
    assert "etc/pip.conf" not in names
    assert not any(name.startswith(("root/.config", "home/jovyan/.config", "tmp/")) for name in names)
    debians = certificates("".join(path.read_text() for path in Path("/usr/share/ca-certificates").rglob("*.crt")))
    # A CA of this machine's own is in its bundle, and not among Debian's.
    assert not (own - debians) & public


def certificates(bundle: str) -> set[str]:
    return {part.partition("-----END")[0].strip() for part in bundle.split("-----BEGIN CERTIFICATE-----")[1:]}
