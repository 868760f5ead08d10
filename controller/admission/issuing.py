"""Makes keys and certificates: an authority of our own, and the server's certificate."""

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.admission.rotation import Material, Step, Terms

Key = ec.EllipticCurvePrivateKey


def made(step: Step, material: Material | None, names: frozenset[str], *, now: datetime, terms: Terms) -> Material:
    """Return the material after a step that `rotation.next_step` asked for.

    A new authority keeps the server's certificate that the one before it signed, if there is one that still holds.
    """
    if step == "certificate" and material is not None:
        certificate, key = _certificate(material.authority, material.authority_key, names, now, terms)
        return Material(
            authority=material.authority,
            authority_key=material.authority_key,
            before=material.before,
            certificate=certificate,
            key=key,
        )
    authority, authority_key = _authority(now, terms)
    if material is not None and x509.load_pem_x509_certificate(material.authority).not_valid_after_utc > now:
        return Material(
            authority=authority,
            authority_key=authority_key,
            before=material.authority,
            certificate=material.certificate,
            key=material.key,
        )
    certificate, key = _certificate(authority, authority_key, names, now, terms)
    return Material(authority=authority, authority_key=authority_key, certificate=certificate, key=key)


def _authority(now: datetime, terms: Terms) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"seldon-rollouts-webhook-ca {now:%Y-%m-%dT%H:%M:%S}")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key, now - terms.skew, now + terms.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()), key)


def _certificate(
    authority: bytes, authority_key: bytes, names: frozenset[str], now: datetime, terms: Terms
) -> tuple[bytes, bytes]:
    signer = x509.load_pem_x509_certificate(authority)
    signing = load_pem_private_key(authority_key, None)
    if not isinstance(signing, Key):
        raise TypeError(f"the authority's key is a {type(signing).__name__}; expected an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(now + terms.certificate, signer.not_valid_after_utc)
    builder = (
        _builder(_name("seldon-rollouts-webhook"), signer.subject, key, now - terms.skew, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(list(_alternatives(names))), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return _pem(builder.sign(signing, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin.replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0) + timedelta(seconds=1))
    )


def _alternatives(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in sorted(names):
        try:
            yield x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            yield x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate, key: Key) -> tuple[bytes, bytes]:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret
