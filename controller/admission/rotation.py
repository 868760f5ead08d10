"""When which certificate is made anew: decided, not done. Pure.

An authority of our own signs the server's certificate. Both are renewed after two thirds of their time. The API server
trusts the bundle that the webhook configurations hold: a new authority stands in it beside the old one before it signs
anything, so that at no instant a certificate is served that is not trusted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RENEW_AFTER = 2 / 3
SOONEST = timedelta(seconds=1)
Step = Literal["authority", "certificate", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long certificates hold.

    Args:
        authority: of the authority's own.
        certificate: of the server's; never longer than its authority's.
        skew: how far clocks may be apart: certificates hold from this long before they were made.
    """

    authority: timedelta = timedelta(days=3650)
    certificate: timedelta = timedelta(days=90)
    skew: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Certificates and keys, in PEM.

    Args:
        authority: the authority's certificate, which signs from now on.
        authority_key: its key.
        before: the authority before it, while something that it signed may be served; empty when there was none.
        certificate: the server's certificate.
        key: the server's key.
    """

    authority: bytes
    authority_key: bytes
    before: bytes = b""
    certificate: bytes
    key: bytes

    @property
    def bundle(self) -> bytes:
        """What the API server is to trust."""
        return self.authority + self.before


def next_step(material: Material | None, names: frozenset[str], *, now: datetime, published: bool) -> Step:
    """Return what is to be made now; empty when all is well.

    Args:
        material: what there is; None when there is nothing, or what there is cannot be read.
        names: names and addresses by which the API server reaches us.
        now: the instant.
        published: every webhook configuration holds this material's bundle.
    """
    if material is None or _over(authority := _read(material.authority), now):
        return "authority"
    served = _read(material.certificate)
    if not signed_by(served, authority):  # a new authority waits until it is trusted
        return "certificate" if published or _over(served, now) else ""
    if _due(authority, now):
        return "authority"
    return "certificate" if names_in(served) != names or _due(served, now) else ""


def looks_again(material: Material, *, now: datetime, at_most: timedelta) -> timedelta:
    """Return when to look again: when something is due, but soon enough to see what another replica made."""
    due = min(_due_at(_read(material.authority)), _due_at(_read(material.certificate)))
    return max(min(due - now, at_most), SOONEST)


def names_in(certificate: x509.Certificate) -> frozenset[str]:
    """Return the names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    return frozenset([*found.get_values_for_type(x509.DNSName), *addresses])


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Return whether an authority signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def readable(material: Material) -> bool:
    """Return whether certificates and keys can be read, and belong together."""
    pairs = ((material.certificate, material.key), (material.authority, material.authority_key))
    try:
        read = [(_read(each), load_pem_private_key(key, None)) for each, key in pairs]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return all(each.public_key() == key.public_key() for each, key in read)


def _read(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _due_at(certificate: x509.Certificate) -> datetime:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * RENEW_AFTER


def _due(certificate: x509.Certificate, now: datetime) -> bool:
    return now >= _due_at(certificate)


def _over(certificate: x509.Certificate, now: datetime) -> bool:
    return now >= certificate.not_valid_after_utc
