"""The certificate that a server shows."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from orchestrator.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Certificates:
    """A folder with `tls.crt` and `tls.key`."""

    folder: Path

    def context(self) -> ssl.SSLContext:
        """For REST. Raises SettingsError when the files cannot be used."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"SELDON_CERT_MOUNT_PATH: {str(self.folder)!r} has no tls.crt and tls.key to use: {error}"
            ) from error
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC. Raises SettingsError when the files cannot be used."""
        self.context()  # it says what is wrong; gRPC only logs it
        pair = ((self.folder / "tls.key").read_bytes(), (self.folder / "tls.crt").read_bytes())
        return grpc.ssl_server_credentials([pair])
