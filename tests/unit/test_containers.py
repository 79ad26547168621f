"""A launch in the words of the Docker Engine."""

from __future__ import annotations

import dataclasses

import pytest

from binder_deploy.containers import Surroundings, create_request
from binder_deploy.startup import Image
from binder_protocol.errors import InvalidTemplate
from binder_protocol.models import Access, Placement
from tests.support.launches import ID, a_launch

AROUND = Surroundings(home="feedc0de", network="binder-feedc0de", cpu=1000, log_bytes=1000)
PLAIN = Image("sha256:1")
JUPYTER = Image(
    "sha256:2", labels=(("org.binder.app", "jupyter"),), entrypoint=("tini", "--"), command=("jupyter-lab",)
)


def test_a_launch_as_a_whole() -> None:
    launch = a_launch(
        command=("serve", "--at={base-path}", "{port}:{token}"), port=5000,
        environment={"GREETING": "hi", "PORT": "1", "BINDER_TOKEN": "mine"},
    )  # fmt: skip
    assert create_request(launch, PLAIN, AROUND) == {
        "Image": "sha256:1",
        "User": "1000:1000",
        "Cmd": ["serve", f"--at=/user/{ID}/", "5000:s3cret"],
        "Env": [
            "GREETING=hi",
            f"BINDER_BASE_PATH=/user/{ID}/",
            "BINDER_PORT=5000",
            "BINDER_TOKEN=s3cret",
            "PORT=5000",
        ],
        "Labels": {
            "org.binder.application": ID,
            "org.binder.template": "demo",
            "org.binder.home": "feedc0de",
            "org.binder.app": "other",
            "org.binder.port": "5000",
            "org.binder.middlewares": "binder-pages@file,binder-guard@file",
        },
        "ExposedPorts": {"5000/tcp": {}},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "HostConfig": {
            "NetworkMode": "binder-feedc0de",
            "Init": True,
            "Privileged": False,
            "PublishAllPorts": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "IpcMode": "private",
            "Memory": 2**28,
            "MemorySwap": 2**28,
            "NanoCpus": 1_000_000_000,
            "PidsLimit": 64,
            "ShmSize": 2**26,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1000", "max-file": "2"}},
        },
    }


def test_jupyter_of_the_base_image_runs_as_it_is_and_checks_its_token_itself() -> None:
    request = create_request(a_launch(), JUPYTER, AROUND)
    assert "Cmd" not in request
    assert "JUPYTER_TOKEN=s3cret" in request["Env"]
    assert request["Labels"]["org.binder.app"] == "jupyter"
    assert request["Labels"]["org.binder.middlewares"] == "binder-pages@file"
    assert request["HostConfig"]["Init"] is False


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({"command": ("python", "app.py")}, JUPYTER),
        ({}, Image("sha256:3", labels=(("org.binder.app", "jupyter"),), command=("python", "app.py"))),
        ({}, PLAIN),
    ],
)
def test_what_only_claims_to_be_jupyter_is_guarded(values: dict[str, object], image: Image) -> None:
    labels = create_request(a_launch(**values), image, AROUND)["Labels"]
    assert "binder-guard@file" in labels["org.binder.middlewares"]
    assert labels["org.binder.app"] == "other"


def test_a_public_application_has_neither_guard_nor_token() -> None:
    request = create_request(a_launch(access=Access.PUBLIC, strip_prefix=True), PLAIN, AROUND)
    middlewares = request["Labels"]["org.binder.middlewares"]
    assert middlewares == "binder-pages@file,binder-strip@file"
    assert "BINDER_TOKEN=" in request["Env"]


def test_labels_of_the_image_can_not_take_the_place_of_ours() -> None:
    image = Image(
        "sha256:5",
        labels=(("org.binder.home", "other"), ("org.binder.application", "x"), ("org.binder.middlewares", "")),
    )
    labels = create_request(a_launch(), image, AROUND)["Labels"]
    assert (labels["org.binder.home"], labels["org.binder.application"]) == ("feedc0de", ID)
    assert labels["org.binder.middlewares"] == "binder-pages@file,binder-guard@file"


def test_the_disk_of_a_launch_goes_before_that_of_all() -> None:
    around = dataclasses.replace(AROUND, disk=10**9)
    for launch, size in ((a_launch(), "1000000000"), (a_launch(disk=5_000_000), "5000000")):
        assert create_request(launch, PLAIN, around)["HostConfig"]["StorageOpt"] == {"size": size}


def test_one_host_has_nothing_to_place() -> None:
    placement = Placement(node_selector={"pool": "gpu"}, priority_class="low", pull_secrets=["login"])
    assert create_request(a_launch(placement=placement), PLAIN, AROUND) == create_request(a_launch(), PLAIN, AROUND)


def test_what_only_a_cluster_has_is_refused() -> None:
    with pytest.raises(InvalidTemplate, match=r"nvidia\.com/gpu"):
        create_request(a_launch(extended={"nvidia.com/gpu": 1}), PLAIN, AROUND)
