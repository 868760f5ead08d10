"""A certificate for the loopback address, by openssl: kubectl sends its token over TLS only."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

_NAMES = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM. It is self-signed, so it is its own authority."""

    certificate: Path
    key: Path


def available() -> bool:
    return which("openssl") is not None


def ensure(folder: Path) -> Certificate:
    """The folder's certificate, made when it is missing. Raises RuntimeError when openssl cannot make it."""
    found = Certificate(folder / "apiserver.crt", folder / "apiserver.key")
    if found.certificate.exists() and found.key.exists():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "3650", "-subj", "/CN=seldon-rollouts-local", "-addext", _NAMES),
        *("-keyout", str(found.key), "-out", str(found.certificate)),
    ]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise RuntimeError("openssl is not on PATH; install it, or start the server with --plain-http") from error
    if made.returncode != 0:
        raise RuntimeError(f"openssl could not make a certificate: {made.stderr.strip()}")
    found.key.chmod(0o600)
    return found
