"""Free TCP ports on loopback."""

import socket
from collections.abc import Iterable


def free_ports(names: Iterable[str], preferred: dict[str, int] | None = None) -> dict[str, int]:
    """A port for each name: the preferred one if it is free (0 or absent: any), all different.

    The sockets are held until all are chosen. Raises OSError naming the port when a preferred one is taken.
    """
    held: list[socket.socket] = []
    found: dict[str, int] = {}
    try:
        for name in names:
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = (preferred or {}).get(name, 0)
            try:
                one.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise OSError(f"port {wanted} on 127.0.0.1, asked for {name}, cannot be used: {error}") from error
            found[name] = one.getsockname()[1]
    finally:
        for one in held:
            one.close()
    return found


def is_free(port: int) -> bool:
    """Whether a port of 127.0.0.1 can be bound now."""
    try:
        free_ports(["probe"], {"probe": port})
    except OSError:
        return False
    return True
