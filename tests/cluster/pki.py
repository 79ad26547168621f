"""The cluster's certificates, all of one day, in files named as what shows them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.layout import Layout

_DAYS = 3_650
_MASTERS = "system:masters"
_NODES = "system:nodes"
COMPONENTS = ("controller-manager", "scheduler", "proxy", "coredns", "kubelet")
"""Those that come to the API server as clients."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _private(self.key)

    def write(self, stem: Path) -> None:
        """Writes `stem`.crt and `stem`.key, the latter for its owner alone."""
        stem.with_suffix(".crt").write_bytes(self.certificate_pem)
        _write_secret(stem.with_suffix(".key"), self.key_pem)


def authority(name: str) -> Pair:
    """One that signs itself and others."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = _usage(signs_others=True)
    builder = _builder(_name(name), _name(name), key, _DAYS).add_extension(usage, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    # A certificate without the next two is refused by Python from 3.13 on (VERIFY_X509_STRICT).
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def issue(by: Pair, name: str, *, group: str = "", hosts: Sequence[str] = (), days: int = _DAYS) -> Pair:
    """A server's certificate where there are hosts, else a client's. With negative `days` it has expired already."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name, group), by.certificate.subject, key, days)
    builder = builder.add_extension(_usage(signs_others=False), critical=True)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = builder.add_extension(signer, critical=False)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
    return Pair(builder.sign(by.key, hashes.SHA256()), key)


def make(layout: Layout) -> None:
    """All that the cluster needs, once."""
    folder, done = layout.pki, layout.pki / "done"
    if done.exists():
        return
    root, front = authority("kube-one-ca"), authority("kube-one-front-ca")
    root.write(folder / "ca")
    front.write(folder / "front-ca")
    issue(front, "front-proxy-client").write(folder / "front-client")
    names = ["kubernetes.default.svc.cluster.local", "kubernetes.default.svc", "kubernetes.default", "kubernetes"]
    reached = [*names, "localhost", "127.0.0.1", layout.address, layout.first_service]
    issue(root, "kube-apiserver", hosts=reached).write(folder / "apiserver")
    issue(root, "kube-apiserver-kubelet-client", group=_MASTERS).write(folder / "apiserver-kubelet")
    issue(root, "kubernetes-admin", group=_MASTERS).write(folder / "admin")
    node = f"system:node:{layout.node}"
    issue(root, node, group=_NODES, hosts=[layout.node, layout.address]).write(folder / "kubelet-server")
    issue(root, node, group=_NODES).write(folder / "kubelet")
    for name in COMPONENTS[:-1]:
        user = name if name == "coredns" else f"kube-{name}"
        issue(root, f"system:{user}").write(folder / name)
    _service_accounts(folder)
    done.touch()


def _service_accounts(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    _write_secret(folder / "sa.key", _private(key))
    public = key.public_key()
    (folder / "sa.pub").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1 + max(0, -2 * days)))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(name: str, group: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs_others, crl_sign=signs_others, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_secret(file: Path, text: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(text)
