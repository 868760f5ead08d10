"""The certificate that a server shows, read again when its files change."""

import logging
import ssl
from pathlib import Path

from orchestrator.errors import SettingsError

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """A folder with `tls.crt` and `tls.key`, as Kubernetes mounts a Secret and renews it. One for each server."""

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "tls.crt", folder / "tls.key")
        self._folder = folder
        self._stamp: _Stamp = ()
        self._protocols: list[str] = []
        self._context: ssl.SSLContext | None = None

    def context(self, *protocols: str) -> ssl.SSLContext:
        """For a server of protocols that clients choose from (ALPN); each new connection has the certificate of then.

        Raises SettingsError when it cannot be used.
        """
        self._protocols = list(protocols)
        first = self._context = self._read()
        self._stamp = self._stamped()
        first.sni_callback = self._choose
        return first

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"SELDON_CERT_MOUNT_PATH: {str(self._folder)!r} has no tls.crt and tls.key to use: {error}"
            ) from error
        if self._protocols:
            context.set_alpn_protocols(self._protocols)
        return context

    def _stamped(self) -> _Stamp:
        stats = [file.stat() for file in self._files]
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """At the start of a connection: take the certificate of now. A new one that cannot be used is passed over."""
        try:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._context = self._read()
                self._stamp = stamp
                log.info("the certificate in %s was read again", self._folder)
        except (OSError, SettingsError) as error:
            log.warning("the certificate stays as it was: %s", error)
        if self._context is not None:
            connection.context = self._context
