"""Run by test_build_faults.py in a network namespace of its own: an engine whose disk is said to be full."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
from pathlib import Path

import docker
import pytest

from binder_build.collection import Collection, Usage
from binder_build.environments import EnvironmentStore
from binder_build.images.engine_images import Images
from binder_build.images.order import BuildOrder
from binder_build.images.store import BuiltImage
from binder_build.records import Attempt, Subject
from binder_build.store import AttemptStore
from binder_plan.recipe import Base, Recipe
from binder_protocol.errors import NoSpace
from binder_protocol.models import BuildRequest, BuildStatus, TemplateSpec
from binder_protocol.service.storage import Database
from tests.support.engine import IMAGE, Engine, own_engine

SIZE = 20_000_000
MORE_THAN_THERE_IS = 2**60


class Scene:
    """Builds on an engine of its own."""

    def __init__(self, place: Path, engine: Engine) -> None:
        self.engine = engine
        self.place = place
        self.images = Images(place / "work", host=engine.url)
        database = Database(f"sqlite:///{place}/builds.sqlite", "binder_build.migrations")
        database.migrate()
        self.store = AttemptStore(database)
        self.environments = EnvironmentStore(database)

    def collection(self, used: Usage, *, min_free: int, cache: int = 0) -> Collection:
        return Collection(
            self.store, self.environments, self.images, lambda: used,
            state=self.place, min_free=min_free, cache=cache, keep=0,
        )  # fmt: skip

    def build(self, name: str) -> BuiltImage:
        """An image of SIZE, which is in the cache of steps, too, known as an attempt at `name` that completed."""
        context = self.place / secrets.token_hex(4)
        context.mkdir()
        (context / "file").write_bytes(secrets.token_bytes(SIZE))
        base = Base(IMAGE, "sha256:0")
        text = f"FROM {IMAGE}\nCOPY file /file\n"
        recipe = Recipe(buildpack="dockerfile", reason="", files=(), dockerfile=text, dockerignore=None, base=base)
        reference = f"binder/{name}:{secrets.token_hex(4)}"
        image = self.images.build(BuildOrder(context, recipe, reference), lambda _: None)
        spec = TemplateSpec(name=name, image=image.id)
        self.store.update(self._attempt(name), status=BuildStatus.COMPLETED, reference=reference, spec=spec)
        return image

    def cached(self) -> int:
        """Bytes of the cache of steps that are of no image's."""
        with contextlib.closing(docker.APIClient(base_url=self.engine.url, timeout=60)) as api:
            return sum(each["Size"] for each in api.df()["BuildCache"] or [] if not each["Shared"])

    def _attempt(self, name: str) -> Attempt:
        subject = Subject(
            name, name, "https://example.org/x", "x", "", BuildRequest(repository="https://example.org/x")
        )
        attempt, _ = self.store.admit(subject, None, None, queue_size=10, since=2**40, join=lambda _: None)
        return attempt


def main() -> None:
    """One engine, all of it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    with tempfile.TemporaryDirectory(prefix="bnd-") as name, own_engine(Path(name) / "engine") as engine:
        scene = Scene(Path(name), engine)
        old, new, running, other = [scene.build(each) for each in ("one", "one", "two", "two")]
        assert scene.cached() > 3 * SIZE
        used = Usage(running=frozenset({running.id}))

        scene.collection(used, min_free=0).make_room(_fail)
        scene.collection(used, min_free=0, cache=MORE_THAN_THERE_IS).trim()
        assert scene.cached() > 3 * SIZE
        scene.collection(used, min_free=0, cache=2 * SIZE).trim()
        assert scene.cached() < 3 * SIZE
        print("the cache is trimmed to its size", flush=True)

        notes: list[str] = []
        with pytest.raises(NoSpace, match="MiB are free"):
            scene.collection(used, min_free=MORE_THAN_THERE_IS).make_room(notes.append)
        assert [scene.images.exists(each.id) for each in (old, new, running, other)] == [False, True, True, True]
        assert any("the image of one, attempt 1, was removed" in note for note in notes), notes
        assert scene.cached() < SIZE, notes
        print("what isn't needed is gone, and what runs or is new is there", flush=True)
        scene.images.close()


def _fail(text: str) -> None:
    raise AssertionError(f"there is room, and yet: {text}")


if __name__ == "__main__":
    main()
