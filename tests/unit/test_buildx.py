"""The command line of buildx: nothing secret is in it, and caches are what the builder can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from binder_build.images.buildx import Buildx, Output, buildx_command

CACHE = "registry.example.org/cache/own:cache"


def run(**more: Any) -> Buildx:
    return Buildx(Path("/context"), Path("/work/Dockerfile"), Path("/work/metadata"), "binder/own:1", **more)


@pytest.mark.parametrize(
    ("builder", "to"),
    [(None, "type=inline"), ("remote", f"type=registry,ref={CACHE},mode=max,ignore-error=true")],
)
def test_a_cache_is_written_as_the_builder_can(builder: str | None, to: str) -> None:
    words = run(cache=CACHE, builder=builder).arguments()
    assert words[words.index("--cache-from") + 1] == f"type=registry,ref={CACHE}"
    assert words[words.index("--cache-to") + 1] == to
    assert words[-2:] == ["--", "/context"]


def test_without_one_none_is_asked_for() -> None:
    assert not [word for word in run().arguments() if "cache" in word]


def test_secrets_are_files_and_proxies_names() -> None:
    built = run(secrets={"licence": Path("/work/secrets/licence")}, proxies={"HTTPS_PROXY": "http://me:word@proxy"})
    words = built.arguments()
    assert "id=licence,src=/work/secrets/licence" in words
    assert "HTTPS_PROXY" in words
    assert not [word for word in words if "word@" in word]
    assert built.environment(None, {"SECRET": "x", "PATH": "/bin"}).keys() >= {"HTTPS_PROXY", "PATH"}
    assert "SECRET" not in built.environment(None, {"SECRET": "x"})


def test_an_image_for_a_registry_is_pushed_by_the_builder() -> None:
    words = run(builder="remote", output=Output.REGISTRY).arguments()
    assert words[words.index("--output") + 1] == "type=image,name=binder/own:1,push=true"
    assert not {"--load", "--tag"} & {*words}
    words = run(builder="remote", output=Output.PLAIN_REGISTRY).arguments()
    assert words[words.index("--output") + 1] == "type=image,name=binder/own:1,push=true,registry.insecure=true"


def test_the_plugin_itself_is_run_where_it_is_found(tmp_path: Path) -> None:
    missing, folder = tmp_path / "missing", tmp_path / "plugins"
    assert buildx_command([missing]) == ("docker", "buildx")
    folder.mkdir()
    program = folder / "docker-buildx"
    program.write_text("")
    assert buildx_command([missing, folder]) == ("docker", "buildx")
    program.chmod(0o755)
    assert buildx_command([missing, folder]) == (str(program),)
