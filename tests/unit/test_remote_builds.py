"""A build on a remote builder that is lost starts over once; what is wrong with a build itself isn't tried again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from binder_build.images.builder import Builder
from binder_build.images.engine import Engine
from binder_build.images.network import BuildNetwork
from binder_build.images.order import BuildOrder
from binder_build.images.progress import Event, Note
from binder_build.registry.api import RegistryApi
from binder_build.registry.contents import RegistryContents
from binder_build.registry.images import RegistryImages
from binder_build.registry.logins import Logins
from binder_build.registry.pool import BuilderPool
from binder_plan.recipe import Base, Recipe
from binder_protocol.errors import BinderError, EngineError, InvalidRepository

LOST = "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"
BASE = Base("binder-base:latest", f"sha256:{'0' * 64}")
RECIPE = Recipe("dockerfile", "", (), "FROM binder-base:latest\n", None, BASE)

Build = Callable[[str], tuple[BinderError, list[str], list[str]]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds by a buildx that says this and fails: the error, the notes, and its command lines."""
    program = tmp_path / "buildx"

    def built(said: str) -> tuple[BinderError, list[str], list[str]]:
        program.write_text(
            "#!/bin/sh\n"
            'case "$1" in version) echo "github.com/docker/buildx 0.13.1"; exit;; esac\n'
            f'echo "$*" >>{tmp_path}/calls\n'
            f"echo '{said}' >&2; exit 1\n"
        )
        program.chmod(0o755)
        notes: list[str] = []

        def hear(event: Event) -> None:
            notes.extend([event.text] if isinstance(event, Note) else [])

        api = RegistryApi(Logins(tmp_path))
        images = RegistryImages(
            tmp_path / "work",
            registry="r.example.org/own",
            base="r.example.org/base:1",
            contents=RegistryContents(api),
            pool=BuilderPool(["one", "two"], lambda _: True),
            builder=lambda name: Builder(
                Engine(), name=name, buildx=[str(program)], network=BuildNetwork(), parallel=1
            ),
            environ={},
        )
        with pytest.raises(BinderError) as raised:
            images.build(BuildOrder(tmp_path, RECIPE, "r.example.org/own/x:1", repository="own"), hear)
        images.close()
        return raised.value, notes, (tmp_path / "calls").read_text().splitlines()

    return built


def test_a_build_whose_builder_is_lost_starts_over_once_on_the_other_one(build: Build) -> None:
    error, notes, calls = build(LOST)
    assert type(error) is EngineError
    assert sorted(word for call in calls for word in call.split() if word in ("one", "two")) == ["one", "two"]
    assert len([note for note in notes if "was lost" in note]) == 1


def test_a_build_that_fails_by_itself_is_not_tried_again(build: Build) -> None:
    error, notes, calls = build("ERROR: dockerfile parse error on line 1: unknown instruction: FORM")
    assert type(error) is InvalidRepository
    assert len(calls) == 1
    assert notes == []


def test_the_base_image_is_taken_by_its_digest_and_the_image_pushed(build: Build) -> None:
    _, _, (call, *_) = build(LOST)
    assert f"--build-context binder-base=docker-image://r.example.org/base@{BASE.id}" in call
    assert "--output type=image,name=r.example.org/own/x:1,push=true " in call
