"""What tests/cluster is made of, without a cluster: processes known by id and birth, certificates, files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.cluster import config, pki
from tests.cluster.components import commands
from tests.cluster.layout import Layout
from tests.cluster.processes import Processes, born


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    made = Processes(tmp_path / "pid", tmp_path / "log")
    made.pids.mkdir()
    made.logs.mkdir()
    return made


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state", tmp_path / "run")
    made.pki.mkdir(parents=True)
    pki.make(made)
    return made


def test_a_process_is_started_once_and_stopped(processes: Processes) -> None:
    command = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    processes.start("it", command)
    first = (processes.pids / "it").read_text()
    processes.start("it", command)
    assert (processes.pids / "it").read_text() == first
    assert processes.alive("it")
    assert processes.any()
    processes.stop("it")
    assert not processes.alive("it")
    assert not processes.any()


def test_one_that_doesn_t_listen_is_killed(processes: Processes) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    processes.start("it", [sys.executable, "-c", deaf])
    pid = int((processes.pids / "it").read_text().split()[0])
    processes.stop("it", within=0.5)
    assert born(pid) == ""


def test_a_later_process_with_the_same_id_is_left_alone(processes: Processes) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with other:
        (processes.pids / "it").write_text(f"{other.pid} 12345\n")
        assert not processes.alive("it")
        processes.stop("it")
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "none", "1", "999999999 1\n", "1 2 3"])
def test_a_record_that_makes_no_sense_is_of_nothing(processes: Processes, text: str) -> None:
    (processes.pids / "it").write_text(text)
    assert not processes.alive("it")
    processes.stop("it")
    assert not (processes.pids / "it").exists()


def test_the_server_is_trusted_by_those_who_trust_the_authority() -> None:
    root, other = pki.authority("root"), pki.authority("other")
    server = pki.issue(root, "it", hosts=["example.test", "127.0.0.1"]).certificate
    server.verify_directly_issued_by(root.certificate)
    with pytest.raises(ValueError, match="issuer"):
        server.verify_directly_issued_by(other.certificate)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.test"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_an_expired_certificate_is_of_the_past() -> None:
    shown = pki.issue(pki.authority("root"), "it", hosts=["localhost"], days=-1).certificate
    assert shown.not_valid_before_utc < shown.not_valid_after_utc < datetime.now(UTC)


def test_a_client_s_certificate_is_no_server_s() -> None:
    shown = pki.issue(pki.authority("root"), "it", group="people").certificate
    purposes = shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_certificates_are_made_once(layout: Layout) -> None:
    before = (layout.pki / "ca.crt").read_bytes()
    pki.make(layout)
    assert (layout.pki / "ca.crt").read_bytes() == before


def test_keys_are_for_their_owner_alone(layout: Layout) -> None:
    assert {each.stat().st_mode & 0o077 for each in layout.pki.glob("*.key")} == {0}


def test_files_are_what_their_names_say(layout: Layout) -> None:
    for file, text in {**config.files(layout), **config.kubeconfigs(layout)}.items():
        if file.suffix in (".json", ".conflist"):
            json.loads(text)
        if file.suffix in (".yaml", ".kubeconfig"):
            assert yaml.safe_load(text)["kind"], file


def test_every_file_that_a_command_names_is_made(layout: Layout) -> None:
    made = {*map(str, config.files(layout)), *map(str, config.kubeconfigs(layout)), *map(str, layout.pki.iterdir())}
    words = [word.split("=", 1)[-1] for command in commands(layout, Path("kubeall")).values() for word in command]
    named = {word for word in words if word.startswith((str(layout.conf), str(layout.pki)))}
    assert named
    assert named <= made
