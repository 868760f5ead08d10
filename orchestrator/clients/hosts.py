"""Names to addresses, before the resolver is asked."""

from pathlib import Path

_WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 — compared with, not bound to


def parse(text: str) -> dict[str, str]:
    """Name to address, from a hosts(5) file; the first line that names a host wins."""
    names: dict[str, str] = {}
    for line in text.splitlines():
        address, *hosts = line.partition("#")[0].split() or [""]
        for host in hosts:
            names.setdefault(host.lower(), address)
    return names


class Hosts:
    """`localhost` means the address that we bind, unless that is a wildcard; then a hosts file, then the resolver.

    The file is read again when it has changed. It is looked at for each new connection, never for a request.
    """

    def __init__(self, bind: str = "", file: Path | None = None) -> None:
        self._localhost = "localhost" if bind in _WILDCARDS else bind
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._names: dict[str, str] = {}

    def address(self, host: str) -> str:
        """The address of a host, or the host itself for the resolver."""
        if host == "localhost":
            return self._localhost
        self._refresh()
        return self._names.get(host.lower().rstrip("."), host)

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._names = parse(self._file.read_text(encoding="utf-8", errors="replace"))
                self._stamp = stamp
        except OSError:
            self._names = {}
            self._stamp = None
