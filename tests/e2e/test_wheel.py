"""The wheel, in clean environments: the light client without server libraries, the server with them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER_LIBRARIES = ("fastapi", "docker", "git", "sqlalchemy", "alembic", "uvicorn", "structlog", "supervisor")
PACKAGES = (
    "binder_protocol", "binder_plan", "binder_build", "binder_registry", "binder_deploy", "binder_control",
    "binder_client",
)  # fmt: skip
IGNORED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "tests", "node_modules")

pytestmark = pytest.mark.timeout(600)


def uv(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """What uv prints; fails with what it says."""
    program = Path(sys.executable).with_name("uv")
    command = [str(program) if program.exists() else "uv", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=uv_environment(), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, f"uv {arguments[0]}: {done.stderr[-3000:]}"
    return done.stdout


@functools.cache
def uv_environment() -> dict[str, str]:
    """This environment with the package index that pip is set to: uv doesn't read pip's settings."""
    if "UV_DEFAULT_INDEX" in os.environ or "UV_INDEX_URL" in os.environ:
        return dict(os.environ)
    ask = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = (
        os.environ.get("PIP_INDEX_URL")
        or subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    )
    return {**os.environ, **({"UV_DEFAULT_INDEX": index} if index else {})}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, so that nothing is left in the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "sources", ignore=IGNORED, symlinks=True)
    uv("build", "--wheel", "--out-dir", place / "dist", place / "sources")
    (built,) = (place / "dist").glob("binder-*.whl")
    return built


def environment(place: Path, requirement: str) -> Path:
    """The bin directory of a new virtual environment that holds `requirement`."""
    uv("venv", "--python", sys.executable, place)
    binaries = place / ("Scripts" if os.name == "nt" else "bin")
    uv("pip", "install", "--python", binaries / "python", requirement)
    return binaries


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A program of the new environment, away from the checkout and from this environment."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(program), *arguments], cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_wheel_holds_all_that_the_sources_have(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert set(listed.stdout.split("\n")) - {""} - held == set()
    for service in ("binder_build", "binder_registry", "binder_deploy"):
        assert [name for name in held if name.startswith(f"{service}/migrations/0")]
    assert not [name for name in held if not name.startswith((*PACKAGES, "binder-"))]
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_light_client_needs_no_server_library(wheel: Path, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "venv", str(wheel))
    helped = run(binaries / "binder-client", "--help", cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "launch" in helped.stdout
    refused = run(binaries / "binder-client", "--url", "http://127.0.0.1:1", "fetch", "--json", cwd=tmp_path)
    assert refused.returncode == 5
    assert json.loads(refused.stderr)["type"] == "refused"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/requirements.txt").write_text("six\n")
    planned = run(binaries / "binder-client", "plan", "./folder", cwd=tmp_path)
    assert (planned.returncode, "requirements.txt names Python packages" in planned.stdout) == (0, True)
    lacking = run(binaries / "binder-control", "status", cwd=tmp_path)
    assert (lacking.returncode, "pip install 'binder[server]'" in lacking.stderr) == (1, True)
    script = f"""
import importlib.util, json
from binder_client import Client
Client("http://127.0.0.1:1")
print(json.dumps([name for name in {SERVER_LIBRARIES!r} if importlib.util.find_spec(name)]))
"""
    found = run(binaries / "python", "-c", script, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == []


def test_the_server_comes_with_its_libraries_and_files(wheel: Path, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "venv", f"binder[server] @ {wheel.as_uri()}")
    helped = run(binaries / "binder-control", "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "start-all" in helped.stdout
    script = """
import importlib.resources
import binder_build.main, binder_deploy.main, binder_registry.main
from binder_registry.settings import RegistrySettings
print([each.name for each in importlib.resources.files("binder_registry.migrations").iterdir()])
"""
    loaded = run(binaries / "python", "-c", script, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    assert "0001_templates.py" in loaded.stdout
