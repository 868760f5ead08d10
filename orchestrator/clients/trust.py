"""Who vouches for the nodes that are called with TLS."""

import ssl
from pathlib import Path

from orchestrator.errors import SettingsError


class Trust:
    """The authorities in a PEM file, or those that the system trusts."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def context(self, *protocols: str) -> ssl.SSLContext:
        """For a client that offers these protocols (ALPN). Raises SettingsError when the file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self._file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"SELDON_NODE_CA_FILE: {str(self._file)!r} has no certificates: {error}") from error
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context
