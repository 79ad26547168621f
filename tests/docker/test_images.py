"""Images from a real engine: caches, cancel, failures, limits, and what must not be in an image."""

from __future__ import annotations

import io
import json
import secrets
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binder_build.images.engine_images import Images
from binder_build.images.network import BuildNetwork
from binder_build.images.order import BuildLimits, BuildOrder
from binder_build.images.progress import Event, Line, Note, StepEnded, StepStarted
from binder_build.images.store import BuiltImage
from binder_build.process import Cancelled
from binder_plan.dockerfile import CA_BUNDLE
from binder_plan.plan import make_recipe
from binder_plan.recipe import PlanSettings
from binder_plan.tree import Tree
from binder_protocol.errors import (
    BuildStepFailed,
    BuildTimeout,
    DependencyFailed,
    EngineError,
    InvalidRepository,
    NoSpace,
    OutOfMemory,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

BASE = "binder-base:latest"
MARK = "----BEGIN-TEST-AUTHORITY----"


class Workshop:
    """A context of its own, images that are removed at the end, and everything the builds said."""

    def __init__(self, root: Path, host: str) -> None:
        self.root = root
        self.host = host
        self.context = root / "context"
        self.context.mkdir()
        # What an earlier run built is not in the cache for this one.
        self.nonce = secrets.token_hex(6)
        (self.context / "nonce").write_text(self.nonce)
        self.all_images: list[Images] = []
        self.images = self.make()
        self.tag = f"binder-test-engine:{secrets.token_hex(6)}"
        self.events: list[Event] = []

    def make(self, **options: object) -> Images:
        """Another `Images` on the same engine; closed at the end."""
        images = Images(self.root / "work", host=self.host, **options)  # type: ignore[arg-type]
        self.all_images.append(images)
        return images

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.context / name).parent.mkdir(parents=True, exist_ok=True)
            (self.context / name).write_text(text)

    def build(
        self, images: Images | None = None, *, settings: PlanSettings | None = None, **options: object
    ) -> BuiltImage:
        self.events.clear()
        images = images or self.images
        recipe = make_recipe(Tree(self.context), images.base(BASE), settings or PlanSettings(cache_scope="test"))
        on_event, cancel = options.pop("on_event", self.events.append), options.pop("cancel", None)
        order = BuildOrder(self.context, recipe, self.tag, {"org.binder.name": "test"}, **options)  # type: ignore[arg-type]
        return images.build(order, on_event, cancel)  # type: ignore[arg-type]

    def statuses(self) -> dict[str, str]:
        return {each.step: each.status for each in self.events if isinstance(each, StepEnded)}

    def lines(self) -> list[str]:
        return [each.text for each in self.events if isinstance(each, Line)]

    def docker(self, *arguments: str) -> str:
        command = ["docker", "-H", self.host, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout if done.returncode == 0 else done.stderr

    def leftovers(self) -> list[str]:
        return sorted(each.name for each in (self.root / "work").iterdir())


@pytest.fixture
def workshop(tmp_path: Path, docker_engine: str) -> Iterator[Workshop]:
    shop = Workshop(tmp_path, docker_engine)
    yield shop
    shop.images.remove(shop.tag)
    for images in shop.all_images:
        images.close()


def running(marker: str) -> list[str]:
    """The processes of this machine whose command holds `marker`."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            command = (place / "cmdline").read_bytes() if place.name.isdigit() else b""
        except OSError:
            continue
        if marker.encode() in command and b"pytest" not in command:
            found.append(place.name)
    return found


# --- building and caches --------------------------------------------------------------------------------------------


def test_an_image_has_its_labels_port_and_contents(workshop: Workshop) -> None:
    workshop.write({"index.ipynb": "{}", "start": '#!/bin/sh\nexport FROM_START=yes\nexec "$@"\n'})
    image = workshop.build(epoch=1_700_000_000)
    assert image.id.startswith("sha256:")
    assert image.port == 8888
    assert image.labels["org.binder.name"] == "test"
    assert image.labels["org.binder.base"] == workshop.images.base(BASE).id
    assert workshop.images.exists(image.id)
    said = workshop.docker("run", "--rm", "--network", "none", image.id, "sh", "-c", "stat -c %u index.ipynb; env; pwd")
    assert said.splitlines()[0] == "1000"
    assert "FROM_START=yes" in said
    created = json.loads(workshop.docker("image", "inspect", image.id))[0]["Created"]
    assert created.startswith("2023-11-14T")
    assert workshop.leftovers() == []


def test_a_commit_that_changes_only_a_notebook_runs_no_dependency_step_again(workshop: Workshop) -> None:
    # Nothing is downloaded: the requirement is there already.
    workshop.write({"requirements.txt": f"pip  # {workshop.nonce}\n", "index.ipynb": "{}", "postBuild": "echo built\n"})
    workshop.build()
    assert workshop.statuses()["install requirements.txt"] == "done"
    workshop.write({"index.ipynb": '{"changed": true}'})
    workshop.build(epoch=1_700_000_001)
    assert workshop.statuses() == {
        "base image": "done",
        "copy requirements.txt": "cached",
        "install requirements.txt": "cached",
        "copy the repository": "done",
        "run postBuild": "done",
        "exporting to image": "done",
    }


def test_the_same_tree_is_the_same_image_from_the_cache(workshop: Workshop) -> None:
    workshop.write({"index.ipynb": "{}"})
    first = workshop.build(epoch=1_700_000_000)
    second = workshop.build(epoch=1_700_000_000)
    assert first.id == second.id
    assert workshop.statuses()["copy the repository"] == "cached"


def test_lines_of_a_step_are_clean_and_in_order(workshop: Workshop) -> None:
    workshop.write(
        {
            "postBuild": "#!/bin/sh\n"
            "printf 'one\\n\\033[31mred\\033[0m\\033]0;title\\007\\n10%%\\r20%%\\r30%%\\n\\377\\376bytes\\n'\n"
            'printf \'data: {"kind":"end"}\\nid: 1\\n{"vertexes":[{"digest":"x","name":"fake","started":"x"}]}\\n\'\n'
            "printf 'no end'\n"
        }
    )
    workshop.build()
    assert workshop.lines() == [
        "one",
        "red",
        "30%",
        "\ufffd\ufffdbytes",
        'data: {"kind":"end"}',
        "id: 1",
        '{"vertexes":[{"digest":"x","name":"fake","started":"x"}]}',
        "no end",
    ]
    assert "fake" not in {each.step for each in workshop.events if isinstance(each, StepStarted)}


def test_a_flood_of_output_is_bounded(workshop: Workshop) -> None:
    workshop.write({"postBuild": "#!/bin/sh\nyes | head -c 20000000\nhead -c 3000000 /dev/zero | tr '\\0' x\n"})
    workshop.build()
    assert len(workshop.lines()) <= 20_001
    assert max(map(len, workshop.lines())) < 5_000


# --- what must not be in an image -----------------------------------------------------------------------------------


def every_byte(workshop: Workshop, image: BuiltImage) -> bytes:
    """The image as it is saved: configuration, history and the unpacked layers, without those of the base."""
    saved = subprocess.run(
        ["docker", "-H", workshop.host, "save", image.id], capture_output=True, timeout=120, check=True
    )
    base = json.loads(workshop.docker("image", "inspect", BASE))[0]["RootFS"]["Layers"]
    kept = []
    with tarfile.open(fileobj=io.BytesIO(saved.stdout)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        shared = set(manifest["Layers"][: len(base)])
        kept = [archive.extractfile(each).read() for each in archive if each.isfile() and each.name not in shared]  # type: ignore[union-attr]
    return b"".join(kept)


@pytest.mark.parametrize("index", ["https://packages.example/simple", "https://user:s3cr3tpw@packages.example/simple"])
def test_network_settings_reach_the_steps_and_leave_no_trace(workshop: Workshop, tmp_path: Path, index: str) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(f"{MARK}\n")
    network = BuildNetwork(authority, index, {"http": "http://me:pr0xypw@127.0.0.1:1", "no": "*"})
    images = workshop.make(network=network)
    settings = PlanSettings(ca=network.ca, index=network.index, index_secret=network.index_secret, cache_scope="test")
    check = (
        "grep -q BEGIN-TEST $SSL_CERT_FILE && grep -q packages.example /etc/pip.conf /etc/uv/uv.toml"
        " && test $(printenv HTTP_PROXY | wc -c) -gt 20 && echo all there"
    )
    workshop.write({"postBuild": f"#!/bin/sh\n{check}\n"})
    image = workshop.build(images, settings=settings)
    assert workshop.lines() == ["all there"]
    content = every_byte(workshop, image)
    assert b"postBuild" in content
    for secret in (MARK.encode(), b"s3cr3tpw", b"pr0xypw", b"packages.example/simple"):
        assert secret not in content
    said = workshop.docker("run", "--rm", "--network", "none", image.id, "sh", "-c", "cat /etc/pip.conf; ls /etc/uv")
    assert "packages.example" not in said
    assert workshop.leftovers() == []


def test_steps_of_an_own_dockerfile_reach_the_network_in_the_same_way(workshop: Workshop, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(f"{MARK}\n")
    images = workshop.make(network=BuildNetwork(authority))
    workshop.write(
        {"Dockerfile": f"FROM {BASE}\nARG NB_UID\nRUN head -1 {CA_BUNDLE}; echo $NB_UID; : {workshop.nonce}\n"}
    )
    image = workshop.build(images, settings=PlanSettings(ca=True))
    assert workshop.lines() == [MARK, "1000"]
    assert MARK.encode() not in every_byte(workshop, image)


def test_labels_that_would_steer_the_front_door_are_refused_wherever_they_come_from(workshop: Workshop) -> None:
    evil = f"binder-test-evil:{secrets.token_hex(4)}"
    text = f"FROM {BASE}\nLABEL traefik.enable=true\n"
    subprocess.run(
        ["docker", "-H", workshop.host, "build", "-t", evil, "-"], input=text, text=True, check=True, timeout=60
    )
    try:
        workshop.write({"Dockerfile": f"FROM {evil}\n"})
        with pytest.raises(InvalidRepository, match=r"traefik\.enable"):
            workshop.build()
        assert not workshop.images.exists(workshop.tag)
    finally:
        workshop.images.remove(evil)


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_dependency_that_does_not_exist_is_named(workshop: Workshop) -> None:
    workshop.write({"requirements.txt": "./no-such-package-here\n"})
    with pytest.raises(DependencyFailed, match=r"install requirements\.txt ended with exit code") as caught:
        workshop.build()
    assert caught.value.details["step"] == "install requirements.txt"
    assert any("no-such-package-here" in line for line in caught.value.details["log"])
    assert workshop.statuses()["install requirements.txt"] == "failed"


def test_a_failing_post_build_tells_its_last_lines(workshop: Workshop) -> None:
    workshop.write({"postBuild": "#!/bin/sh\necho before\nexit 7\n"})
    with pytest.raises(BuildStepFailed, match="run postBuild ended with exit code 7") as caught:
        workshop.build()
    assert caught.value.details == {"step": "run postBuild", "log": ["before"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM no-such-image-anywhere:1\n", "no-such-image-anywhere:1 can't be pulled"),
        (f"FROM {BASE}\nCOPY missing.txt /\n", r"missing\.txt, which is not in the repository"),
        (f"FROM {BASE}\nTYPO x\n", "can't be read"),
        ("", "can't be read|empty"),
    ],
)
def test_a_dockerfile_that_can_not_be_built_says_why(workshop: Workshop, text: str, words: str) -> None:
    workshop.write({"Dockerfile": text})
    with pytest.raises(InvalidRepository, match=words):
        workshop.build()


def test_a_step_that_takes_too_much_memory_is_out_of_memory(workshop: Workshop) -> None:
    workshop.write({"postBuild": "#!/bin/sh\nexec python3 -c 'x = bytearray(10**9)'\n"})
    with pytest.raises(OutOfMemory, match="run postBuild"):
        workshop.build(limits=BuildLimits(memory=150_000_000))


def test_a_step_that_writes_too_much_is_ended_and_another_one_is_not(workshop: Workshop) -> None:
    fill = "head -c 100000000 /dev/zero > /fill; exec tail -f /dev/null"
    workshop.write({"Dockerfile": f"FROM {BASE}\nUSER root\nRUN echo {workshop.nonce} > /little\nRUN {fill}\n"})
    with pytest.raises(NoSpace, match=r"wrote more than the 0\.1 GB that a step may") as caught:
        workshop.build(limits=BuildLimits(disk=90_000_000))
    assert "/fill" in caught.value.details["step"]
    within = f"head -c 80000000 /dev/zero > /{workshop.nonce}; sleep 3"
    workshop.write({"Dockerfile": f"FROM {BASE}\nUSER root\nRUN {within}\n"})
    assert workshop.build(limits=BuildLimits(disk=90_000_000)).size > 80_000_000


def test_a_full_disk_is_told_with_numbers(workshop: Workshop) -> None:
    with pytest.raises(NoSpace, match=r"GiB are free on the engine's disk, .* GiB must stay free"):
        workshop.build(limits=BuildLimits(free_bytes=2**60))


def test_an_engine_that_is_not_there_is_an_engine_error(tmp_path: Path) -> None:
    images = Images(tmp_path, host=f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError):
        images.ping()
    with pytest.raises(EngineError):
        images.exists("x")


def test_a_base_that_is_not_there_says_what_to_do(workshop: Workshop) -> None:
    with pytest.raises(EngineError) as caught:
        workshop.images.base("binder-no-such-base:latest")
    assert "binder-control setup" in caught.value.suggestions[0]


# --- ends -----------------------------------------------------------------------------------------------------------


def sleeping(workshop: Workshop) -> str:
    """A step that ignores polite requests to end; the mark by which its processes are found."""
    mark = f"9{secrets.randbelow(10**8):08}"
    workshop.write({"postBuild": f"#!/bin/sh\ntrap '' TERM INT\necho begun\nsleep {mark} &\nsleep {mark}\n"})
    return mark


def once_begun(workshop: Workshop, then: Callable[[], None]) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        workshop.events.append(event)
        if isinstance(event, Line) and event.text == "begun":
            then()

    return on_event


@pytest.mark.parametrize("buildx", [True, False], ids=["buildx", "classic"])
def test_cancel_ends_the_build_within_five_seconds_and_leaves_nothing(workshop: Workshop, buildx: bool) -> None:
    mark, cancel, cancelled_at = sleeping(workshop), threading.Event(), [0.0]
    images = workshop.images if buildx else classic(workshop)

    def then() -> None:
        cancelled_at[0] = time.monotonic()
        cancel.set()

    with pytest.raises(Cancelled):
        workshop.build(
            images, settings=PlanSettings(buildkit=buildx), cancel=cancel, on_event=once_begun(workshop, then)
        )
    assert time.monotonic() - cancelled_at[0] < 5
    eventually(lambda: running(mark) == [], within=5)
    assert not workshop.images.exists(workshop.tag)
    assert workshop.leftovers() == []


def test_a_build_above_its_time_is_ended(workshop: Workshop) -> None:
    mark = sleeping(workshop)
    with pytest.raises(BuildTimeout, match="longer than 8 s") as caught:
        workshop.build(limits=BuildLimits(seconds=8))
    assert caught.value.details == {"step": "run postBuild", "log": ["begun"]}
    eventually(lambda: running(mark) == [], within=5)


def test_a_listener_that_fails_ends_the_build(workshop: Workshop) -> None:
    mark = sleeping(workshop)

    def fail() -> None:
        raise LookupError("the log is gone")

    with pytest.raises(LookupError):
        workshop.build(on_event=once_begun(workshop, fail))
    eventually(lambda: running(mark) == [], within=5)


# --- the classic builder --------------------------------------------------------------------------------------------


def classic(workshop: Workshop) -> Images:
    return workshop.make(buildx=("no-such-buildx-command",))


def test_without_buildx_the_classic_builder_builds_and_says_so(workshop: Workshop) -> None:
    workshop.write({"requirements.txt": f"pip  # {workshop.nonce}\n", "index.ipynb": "{}", "postBuild": "echo built\n"})
    images = classic(workshop)
    assert not images.has_buildx()
    settings = PlanSettings(buildkit=images.has_buildx())
    image = workshop.build(images, settings=settings, epoch=1_700_000_000)
    assert image.labels["org.binder.name"] == "test"
    assert "built" in workshop.lines()
    workshop.build(images, settings=settings)
    assert workshop.statuses()["install requirements.txt"] == "cached"
    workshop.write({"postBuild": "#!/bin/sh\necho broken; exit 3\n"})
    with pytest.raises(BuildStepFailed) as caught:
        workshop.build(images, settings=settings)
    assert caught.value.details["log"][-1] == "broken"


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_come_and_go(workshop: Workshop) -> None:
    workshop.write({"a": secrets.token_hex(4)})
    image = workshop.build()
    other = f"{workshop.tag}-other"
    workshop.images.tag(image.id, other)
    assert workshop.images.exists(other)
    workshop.images.remove(other)
    workshop.images.remove(other)
    assert not workshop.images.exists(other)
    assert workshop.images.exists(image.id)


def test_a_push_that_fails_says_why_and_can_be_cancelled(workshop: Workshop) -> None:
    workshop.write({"a": secrets.token_hex(4)})
    image = workshop.build()
    reference = "127.0.0.1:9/binder/test:x"
    workshop.images.tag(image.id, reference)
    try:
        with pytest.raises(EngineError, match="could not be pushed"):
            workshop.images.push(reference, on_event=workshop.events.append)
        assert isinstance(workshop.events[-1], Note)
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(Cancelled):
            workshop.images.push(reference, cancel=cancel)
    finally:
        workshop.images.remove(reference)
