"""The certificate is renewed before it ends, and none is ever served that is not trusted: months of simulated time."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from controller.admission.issuing import made
from controller.admission.rotation import Material, Terms, looks_again, next_step, readable
from controller.admission.store import material_of

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = frozenset({"webhook.ns.svc", "127.0.0.1"})
TERMS = Terms(authority=timedelta(days=40), certificate=timedelta(days=9))


@dataclass
class World:
    """A Secret, a webhook configuration, and two replicas that look one after the other."""

    now: datetime = START
    secret: Material | None = None
    trusted: bytes = b""
    served: dict[str, Material] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    deaf: bool = False
    """The webhook configuration cannot be written."""

    def look(self, replica: str) -> None:
        """Do what a replica does when it looks."""
        published = self.secret is not None and self.trusted == self.secret.bundle
        step = next_step(self.secret, NAMES, now=self.now, published=published)
        if step or self.secret is None:
            self.steps.append(step)
            self.secret = made(step, self.secret, NAMES, now=self.now, terms=TERMS)
        self.served[replica] = self.secret
        self.answers()
        if not self.deaf:
            self.trusted = self.secret.bundle
        self.answers()

    def answers(self) -> None:
        """Check that whatever a replica serves is trusted, once anything is."""
        for material in self.served.values() if self.trusted else ():
            _verify(material.certificate, self.trusted, self.now)


def _verify(certificate: bytes, bundle: bytes, at: datetime) -> None:
    store = Store(x509.load_pem_x509_certificates(bundle))
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName("webhook.ns.svc"))
    verifier.verify(x509.load_pem_x509_certificate(certificate), [])


def _days(world: World, days: int, *, hours: int = 6) -> Iterator[None]:
    for _ in range(days * 24 // hours):
        for replica in ("a", "b"):
            world.look(replica)
            yield
        world.now += timedelta(hours=hours)
        world.answers()


def test_for_most_of_a_year_every_certificate_that_is_served_is_trusted_and_holds() -> None:
    world = World()
    for _ in _days(world, 270, hours=24):
        pass
    assert world.steps.count("authority") >= 9
    assert world.steps.count("certificate") >= 35


def test_at_rest_nothing_is_made() -> None:
    world = World()
    world.look("a")
    for _ in range(10):
        world.look("b")
    assert world.steps == ["authority"]


def test_a_new_authority_signs_only_when_it_is_trusted() -> None:
    world = World()
    for _ in _days(world, 20):
        pass
    world.deaf, first = True, world.secret
    before = first
    assert first is not None
    for _ in _days(world, 8):
        if world.secret is not None and world.secret.authority != first.authority:
            break
        before = world.secret
    assert before is not None
    assert world.secret is not None
    assert world.secret.authority != before.authority
    world.look("a")
    assert world.secret.certificate == before.certificate
    assert world.secret.bundle == world.secret.authority + before.authority
    world.deaf = False
    world.look("a")
    world.look("a")
    assert world.secret.certificate != before.certificate


def test_after_a_long_sleep_everything_is_new() -> None:
    world = World()
    world.look("a")
    world.now += timedelta(days=400)
    world.served.clear()
    world.trusted = b""
    world.look("a")
    world.look("b")
    assert world.secret is not None
    assert world.secret.before == b""
    world.answers()


def test_other_names_need_another_certificate_of_the_same_authority() -> None:
    material = made("authority", None, NAMES, now=START, terms=TERMS)
    others = NAMES | {"new.ns.svc"}
    assert next_step(material, others, now=START, published=True) == "certificate"
    renewed = made("certificate", material, others, now=START, terms=TERMS)
    assert next_step(renewed, others, now=START, published=True) == ""
    assert renewed.authority == material.authority


def test_a_certificate_never_outlives_its_authority() -> None:
    terms = Terms(authority=timedelta(days=1), certificate=timedelta(days=90))
    material = made("authority", None, NAMES, now=START, terms=terms)
    ends = [
        x509.load_pem_x509_certificate(each).not_valid_after_utc for each in (material.certificate, material.authority)
    ]
    assert ends[0] <= ends[1] + timedelta(seconds=1)


def test_it_looks_again_when_something_is_due_and_often_enough_to_see_what_others_made() -> None:
    material = made("authority", None, NAMES, now=START, terms=TERMS)
    minute = timedelta(minutes=1)
    assert looks_again(material, now=START, at_most=minute) == minute
    assert looks_again(material, now=START, at_most=timedelta(days=99)) < timedelta(days=6, hours=1)
    assert looks_again(material, now=START + timedelta(days=8), at_most=minute) == timedelta(seconds=1)


def _secret(material: Material, **other: bytes) -> dict[str, dict[str, str]]:
    data = {
        "ca.crt": material.authority,
        "ca.key": material.authority_key,
        "previous-ca.crt": material.before,
        "tls.crt": material.certificate,
        "tls.key": material.key,
    }
    data |= {name.replace("_", "."): value for name, value in other.items()}
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


def test_a_secret_gives_back_what_was_put_in() -> None:
    material = made("authority", None, NAMES, now=START, terms=TERMS)
    assert material_of(_secret(material)) == material


@pytest.mark.parametrize("damage", [{"tls_crt": b"x"}, {"tls_key": b""}, {"ca_key": b"y"}])
def test_a_damaged_secret_is_as_none(damage: dict[str, bytes]) -> None:
    assert material_of(_secret(made("authority", None, NAMES, now=START, terms=TERMS), **damage)) is None
    assert material_of(None) is None
    assert material_of({"data": {"tls.crt": "not base64!"}}) is None


def test_a_key_of_another_certificate_is_found_out() -> None:
    one, other = (made("authority", None, NAMES, now=START, terms=TERMS) for _ in range(2))
    assert readable(one)
    mixed = Material(
        authority=one.authority, authority_key=one.authority_key, certificate=one.certificate, key=other.key
    )
    assert not readable(mixed)
