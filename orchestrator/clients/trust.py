"""Who vouches for the nodes that are called with TLS."""

import ssl
from pathlib import Path

import grpc

from orchestrator.errors import SettingsError


class Trust:
    """The authorities in a PEM file, or those that the system trusts."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def context(self) -> ssl.SSLContext:
        """For REST. Raises SettingsError when the file cannot be used."""
        try:
            return ssl.create_default_context(cafile=self._file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"SELDON_NODE_CA_FILE: {str(self._file)!r} has no certificates: {error}") from error

    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC. Raises SettingsError when the file cannot be used."""
        self.context()  # it says what is wrong; gRPC only fails its calls
        return grpc.ssl_channel_credentials(None if self._file is None else self._file.read_bytes())
