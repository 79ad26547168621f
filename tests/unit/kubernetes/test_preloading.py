"""Where an image is brought: to the nodes of the operator's settings, of the template's placement and of the patch."""

from __future__ import annotations

from binder_deploy.backends.kubernetes.objects import pod
from binder_deploy.backends.kubernetes.preloading import daemon_set
from binder_deploy.backends.kubernetes.site import Site
from binder_protocol.models import Placement, Toleration
from tests.support.launches import a_launch

SITE = Site("suite", node_selector={"pool": "applications"}, pull_secrets=("ours",), runtime_class="gvisor")
GPU = Placement(
    node_selector={"accelerator": "a100"},
    tolerations=[Toleration(key="gpu", operator="Exists", effect="NoSchedule")],
    pull_secrets=["course"],
)
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
PLACES = ("nodeSelector", "tolerations", "affinity", "imagePullSecrets", "runtimeClassName")


def test_an_image_goes_where_applications_go() -> None:
    site = Site("suite", node_selector={"pool": "applications"}, pod_patch={"spec": {"affinity": AFFINITY}})
    for at, placement in ((SITE, GPU), (SITE, Placement()), (site, GPU)):
        brings = daemon_set("demo:1", placement, at)["spec"]["template"]["spec"]
        runs = pod(a_launch(placement=placement), at)["spec"]
        assert {each: brings.get(each) for each in PLACES} == {each: runs.get(each) for each in PLACES}
    assert brings["affinity"] == AFFINITY


def test_each_placement_of_an_image_has_a_set_of_its_own() -> None:
    made = [daemon_set(image, placement, SITE) for image in ("a", "b") for placement in (GPU, Placement())]
    assert len({each["metadata"]["name"] for each in made}) == 4
    assert len({str(each["spec"]["selector"]) for each in made}) == 4
    assert made[0] == daemon_set("a", GPU, SITE)
