"""Keeps the server's certificate: in a Secret that all replicas share, or in files that somebody else writes.

Every replica looks by itself, leading or not: all of them serve. A write carries the version that it was decided on;
who comes second looks again.
"""

import asyncio
import logging
import os
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from controller import clock
from controller.admission import store, trust
from controller.admission.issuing import made
from controller.admission.rotation import SOONEST, Terms, looks_again, next_step
from controller.kube.client import Client
from controller.kube.errors import ConflictError

log = logging.getLogger("seldon_rollouts.admission")

AT_MOST = timedelta(seconds=30)
AGAIN = timedelta(seconds=10)
"""How soon to look again after a failure."""


class Keeper(Protocol):
    """Loads certificates into the server's TLS context, and goes on doing so."""

    async def look(self, now: datetime) -> timedelta:
        """Look once; return when to look again."""


async def keep(keeper: Keeper) -> None:
    """Look again and again; a failure is logged and tried again."""
    while True:
        try:
            wait = await keeper.look(clock.now())
        except Exception as error:  # noqa: BLE001 - without a certificate nothing can be changed in the cluster
            log.warning("the webhooks' certificate could not be looked after error=%s", error)
            wait = AGAIN
        await asyncio.sleep(wait.total_seconds())


class Context:
    """A server's TLS context whose certificate can be changed while it serves."""

    def __init__(self) -> None:
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[bytes, bytes] | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is a certificate."""
        return self._loaded is not None

    def load(self, certificate: bytes, key: bytes) -> None:
        """Serve new connections with this certificate. The key is in memory alone, never on a disk.

        Raises:
            ssl.SSLError: they cannot be read, or do not belong together.
        """
        if self._loaded == (certificate, key):
            return
        descriptor = os.memfd_create("webhook")
        try:
            os.write(descriptor, certificate + b"\n" + key)
            self.tls.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        self._loaded = (certificate, key)
        log.info("the webhooks serve with a new certificate")


class OwnCertificate:
    """Makes and renews the certificate, and writes what is to be trusted into the webhook configurations.

    Args:
        client: sends the requests.
        context: what it is loaded into.
        namespace: where the Secret is.
        names: names and addresses by which the API server reaches us.
        terms: how long certificates hold.
    """

    def __init__(
        self, client: Client, context: Context, namespace: str, names: frozenset[str], terms: Terms | None = None
    ) -> None:
        self._client, self._context, self._namespace, self._names = client, context, namespace, names
        self._terms = terms or Terms()

    async def look(self, now: datetime) -> timedelta:
        """Renew what is due, serve with it, have it trusted; return when to look again."""
        secret = await store.read(self._client, self._namespace)
        material = store.material_of(secret)
        found = await trust.configurations(self._client)
        published = material is not None and all(trust.holds(each, material.bundle) for each in found)
        step = next_step(material, self._names, now=now, published=published)
        if step or material is None:
            log.info("making the webhooks' %s", step)
            material = made(step, material, self._names, now=now, terms=self._terms)
            try:
                await store.write(self._client, self._namespace, secret, material)
            except ConflictError:
                return SOONEST  # another replica was first
        self._context.load(material.certificate, material.key)
        for each in found:
            await trust.publish(self._client, each, material.bundle)
        pending = bool(step) or next_step(material, self._names, now=now, published=True)
        return SOONEST if pending else looks_again(material, now=now, at_most=AT_MOST)


class GivenCertificate:
    """Reads the certificate from files `tls.crt` and `tls.key`, such as cert-manager's Secret, mounted.

    Who writes them has the webhook configurations trust them, too (cert-manager's CA injector does).
    """

    def __init__(self, context: Context, folder: Path) -> None:
        self._context, self._folder = context, folder

    async def look(self, now: datetime) -> timedelta:
        """Serve with what stands in the files; return when to look again."""
        names = ("tls.crt", "tls.key")
        certificate, key = [await asyncio.to_thread((self._folder / name).read_bytes) for name in names]
        self._context.load(certificate, key)
        return AGAIN
