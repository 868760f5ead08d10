"""Ports that several processes of ours, and nobody else, listen on."""

import socket


def reserved(host: str, port: int) -> socket.socket:
    """A socket that holds `host`:`port` (0 picks a free one) for those that listen on it together; it does not itself.

    Raises OSError when somebody else has the port: with SO_REUSEPORT alone one would share it with another
    orchestrator and not notice.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        _bind(probe, address, socket.SO_REUSEADDR)
        address = probe.getsockname()
    held = socket.socket(family, kind, protocol)
    try:
        _bind(held, address, socket.SO_REUSEPORT)
    except OSError:
        held.close()
        raise
    return held


def _bind(one: socket.socket, address: tuple[object, ...], option: int) -> None:
    one.setsockopt(socket.SOL_SOCKET, option, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(address)
