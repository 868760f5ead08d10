"""What a Prometheus asks for at its door, from a folder such as a mounted Secret: one model for all who ask it.

The folder may hold `token`, or `username` and `password`; `ca.crt`; `tls.crt` and `tls.key`; `headers` with lines such
as `X-Scope-OrgID: ml`. Tokens, passwords and headers are read anew for each question, the certificates for each
connection, since somebody rotates them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class AccessError(ValueError):
    """The folder or the file cannot be used; the text names it and says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the things lie; nothing secret is kept."""

    token: Path | None = None
    basic: tuple[Path, Path] | None = None
    """Of user name and password."""
    authority: Path | None = None
    """PEM; the system's when absent."""
    certificate: tuple[Path, Path] | None = None
    """Our certificate and its key, PEM."""
    more: Path | None = None
    """Headers."""

    def headers(self) -> Mapping[str, str]:
        """Return what is sent along with a question, as it is now.

        Raises:
            AccessError: a file is gone, or says nothing that can be used.
        """
        found = _headers(self.more) if self.more is not None else {}
        if self.token is not None:
            found["Authorization"] = f"Bearer {_read(self.token)}"
        elif self.basic is not None:
            name, password = map(_read, self.basic)
            found["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        return found

    def edition(self) -> tuple[tuple[int, int, int], ...]:
        """Return what is another after a certificate or the authority was written anew or replaced.

        Raises:
            OSError: a file is gone.
        """
        found = [path.stat() for path in (self.authority, *(self.certificate or ())) if path is not None]
        return tuple([(one.st_ino, one.st_mtime_ns, one.st_size) for one in found])


OPEN = Access()
"""A door that asks for nothing."""


def access(folder: str | None = None, token_file: str | None = None) -> Access:
    """Return what a folder holds, and a file with a bearer token.

    Raises:
        AccessError: the folder is none, or its files do not fit each other.
    """
    if token_file and not Path(token_file).is_file():
        raise AccessError(f"--prometheus-token-file {token_file}: expected a file with a bearer token")
    if not folder:
        return Access(token=Path(token_file)) if token_file else OPEN
    place = Path(folder)
    if not place.is_dir():
        raise AccessError(f"--prometheus-access {folder}: expected a folder, such as a mounted Secret")
    token = Path(token_file) if token_file else _there(place / "token")
    basic = _pair(place, "username", "password")
    if token and basic:
        raise AccessError(f"--prometheus-access {folder}: give a token, or username and password, not both")
    found = Access(
        token=token,
        basic=basic,
        authority=_there(place / "ca.crt"),
        certificate=_pair(place, "tls.crt", "tls.key"),
        more=_there(place / "headers"),
    )
    found.headers()
    return found


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _pair(folder: Path, first: str, second: str) -> tuple[Path, Path] | None:
    one, other = (_there(folder / name) for name in (first, second))
    if (one is None) != (other is None):
        missing = second if one is not None else first
        raise AccessError(f"--prometheus-access {folder}: {first} and {second} belong together; {missing} is missing")
    return (one, other) if one is not None and other is not None else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{path}: {type(error).__name__}; expected a readable text") from None


def _headers(path: Path) -> dict[str, str]:
    found = {}
    for line in _read(path).splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise AccessError(f"--prometheus-access {path}: expected lines such as `X-Scope-OrgID: ml`")
        if line.strip():
            found[name.strip()] = value.strip()
    return found
