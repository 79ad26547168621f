"""The configuration as binder-control sees it: what is in effect, where it comes from, what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from binder_control import config
from binder_control.addresses import own_addresses
from binder_control.cli.session import make_session
from binder_control.default_config import DEFAULT_CONFIG
from binder_control.paths import Paths
from binder_control.programs import front_door_program
from binder_protocol.service.settings import ConfigError


def environ(home: Path, text: str = "", **variables: str) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    (home / "binder.toml").write_text(text, encoding="utf-8")
    return {"BINDER_HOME": str(home), **variables}


def value(variables: dict[str, str], section: str, name: str) -> config.Value:
    found = config.values(config.load(variables), variables)
    return next(each for each in found if (each.section, each.name) == (section, name))


def test_without_a_file_everything_is_at_its_default(tmp_path: Path) -> None:
    loaded = config.load({"BINDER_HOME": str(tmp_path)})

    assert loaded.address == "http://127.0.0.1:8080"
    assert loaded.services["build"].port == 8082


def test_a_port_is_said_once_and_the_others_follow(tmp_path: Path) -> None:
    variables = environ(tmp_path, "[build]\nport = 9082\n[control]\nport = 9080\n")

    loaded = config.load(variables)

    assert {each.build_url for each in loaded.services.values()} == {"http://127.0.0.1:9082"}
    assert loaded.address == "http://127.0.0.1:9080"
    assert loaded.derived["BINDER_DEPLOY_FRONT_DOOR_URL"] == "http://127.0.0.1:9080"


def test_an_address_that_was_given_is_left_alone(tmp_path: Path) -> None:
    variables = environ(tmp_path, 'public-url = "https://binder.example.org"\n[control]\nport = 9080\n')

    assert config.load(variables).address == "https://binder.example.org"


def test_builds_may_read_the_health_checks_own_repository_beside_what_was_allowed(tmp_path: Path) -> None:
    variables = environ(tmp_path, '[build]\nallow-hosts = ["git.example.org"]\n[health]\nport = 9086\n')

    loaded = config.load(variables)

    assert json.loads(loaded.derived["BINDER_BUILD_ALLOW_HOSTS"]) == ["git.example.org", "127.0.0.1:9086"]


def test_builds_and_applications_use_the_engine_of_the_environment(tmp_path: Path) -> None:
    loaded = config.load(environ(tmp_path, DOCKER_HOST="unix:///run/other.sock"))

    assert loaded.derived["BINDER_DEPLOY_DOCKER_URL"] == "unix:///run/other.sock"
    assert loaded.derived["BINDER_BUILD_DOCKER_HOST"] == "unix:///run/other.sock"


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("", {}, "default"),
        ('log-level = "debug"', {}, "{home}/binder.toml"),
        ('[build]\nlog-level = "debug"', {}, "{home}/binder.toml [build]"),
        ('[build]\nlog-level = "debug"', {"BINDER_LOG_LEVEL": "error"}, "BINDER_LOG_LEVEL"),
        ("", {"BINDER_LOG_LEVEL": "error", "BINDER_BUILD_LOG_LEVEL": "info"}, "BINDER_BUILD_LOG_LEVEL"),
    ],
)
def test_each_value_says_where_it_comes_from(
    tmp_path: Path, text: str, variables: dict[str, str], expected: str
) -> None:
    found = value(environ(tmp_path, text, **variables), "build", "log_level")

    assert found.source == expected.replace("{home}", str(tmp_path))


def test_the_key_is_never_shown(tmp_path: Path) -> None:
    variables = environ(tmp_path)
    Paths(tmp_path).ensure_key()

    found = value(variables, "build", "api_key")

    assert found.value == "[hidden]"
    assert found.source == str(tmp_path / "key")


@pytest.mark.parametrize(
    ("text", "line", "nearest"),
    [
        ("[build]\n\nprot = 1\n", 3, "port"),
        ("log-levle = 'info'\n", 1, "log-level"),
        ("log-level = 'info'\n[biuld]\nport = 1\n", 2, "[build]"),
        ("[control]\n# port = 1\nmetrics_prt = 1\n", 3, "metrics-port"),
    ],
)
def test_a_typo_is_named_with_its_line_and_the_nearest_known_name(
    tmp_path: Path, text: str, line: int, nearest: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(environ(tmp_path, text))

    assert re.search(rf"binder\.toml, line {line}: .*did you mean {re.escape(nearest)}\?", str(caught.value))


def test_a_common_fault_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(environ(tmp_path, "log-level = 'loud'\n"))

    assert len(str(caught.value).splitlines()) == 1


def test_every_line_of_the_default_file_is_a_setting_with_its_default(tmp_path: Path) -> None:
    said = "\n".join(
        line.removeprefix("# ") if re.match(r"# [a-z-]+ = (?!.*…)", line) else line
        for line in DEFAULT_CONFIG.splitlines()
    )

    assert config.load(environ(tmp_path, said)).services == config.load(environ(tmp_path, "")).services


def test_a_new_key_replaces_the_old_one_and_stays_with_its_owner(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.ensure_key()
    old = paths.key.read_text()

    paths.new_key()

    assert paths.key.read_text() != old
    assert paths.key.stat().st_mode & 0o777 == 0o600


CLUSTER = '[deploy]\nbackend = "kubernetes"\n'


def test_beside_a_cluster_applications_are_reached_from_this_machine_alone(tmp_path: Path) -> None:
    variables = environ(tmp_path, CLUSTER)
    loaded = config.load(variables)
    found = {each.name: each for each in config.values(loaded, variables) if each.section == "deploy"}
    told = json.loads(loaded.derived["BINDER_DEPLOY_KUBERNETES_REACHED_FROM"])
    assert (found["kubernetes.reached_from"].value, found["kubernetes.reached_from"].source) == (told, config.DERIVED)
    assert set(told) & set(own_addresses())


@pytest.mark.parametrize("said", ["reached-from = ['traefik']", "network-policy = false"])
def test_who_reaches_applications_on_a_cluster_may_be_said(tmp_path: Path, said: str) -> None:
    loaded = config.load(environ(tmp_path, f"{CLUSTER}[deploy.kubernetes]\n{said}\n"))
    assert "BINDER_DEPLOY_KUBERNETES_REACHED_FROM" not in loaded.derived


def test_the_front_door_reads_the_cluster_that_applications_run_on(tmp_path: Path) -> None:
    text = (
        f"{CLUSTER}[deploy.kubernetes]\nkubeconfig = '/etc/cluster'\nnamespace = 'classroom'\ningress-class = 'own'\n"
    )
    loaded = config.load(environ(tmp_path, text))
    assert loaded.derived["KUBECONFIG"] == "/etc/cluster"
    files = front_door_program(loaded, None).files
    providers = json.loads(next(each for file, each in files.items() if file.name == "traefik.yml"))["providers"]
    assert providers["kubernetesIngress"] == {
        "labelSelector": "app.kubernetes.io/managed-by=binder",
        "disableClusterScopeResources": False,
        "throttleDuration": "20ms",
        "namespaces": ["classroom"],
        "ingressClass": "own",
    }


def test_without_a_cluster_the_front_door_knows_of_none(tmp_path: Path) -> None:
    files = front_door_program(config.load(environ(tmp_path)), None).files
    assert not any("kubernetes" in text.lower() for text in files.values())


def test_own_addresses_are_those_that_others_may_see() -> None:
    found = own_addresses()
    assert "127.0.0.1" not in found
    assert "::1" not in found


def test_a_fault_in_a_table_within_a_table_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"binder\.toml, line 4: \[deploy\.kubernetes\] namespace: 'X'"):
        config.load(environ(tmp_path, f"{CLUSTER}[deploy.kubernetes]\nnamespace = 'X'\n"))


def test_a_backend_that_start_all_was_told_holds_for_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BINDER_DEPLOY_BACKEND", raising=False)
    environ(tmp_path)
    Paths(tmp_path).keep_backend("memory")
    assert make_session(tmp_path).configuration.services["deploy"].model_dump()["backend"] == "memory"
    Paths(tmp_path).backend.unlink()
    assert make_session(tmp_path).configuration.services["deploy"].model_dump()["backend"] == "docker"
