"""Loopback addresses for Services, and the hosts file that names them."""

import hashlib
from collections.abc import Iterable, Mapping

from localcluster.mesh.objects import Key, Service

FIRST = (127 << 24) | (64 << 16)
"""127.64.0.0/12: 127.64.0.0 to 127.79.255.255. Pods have addresses elsewhere in 127.0.0.0/8."""
SIZE = 1 << 20


def assign(services: Iterable[Key], recorded: Mapping[Key, str]) -> dict[Key, str]:
    """An address for each Service: the recorded one, else one by a hash of its name, else the next that is free.

    The same Services get the same addresses whatever came before, unless two names collide.
    """
    wanted = sorted(set(services))
    found = {key: recorded[key] for key in wanted if key in recorded}
    taken = set(found.values())
    for key in wanted:
        if key in found:
            continue
        digest = hashlib.sha256("/".join(key).encode()).digest()
        start = int.from_bytes(digest[:4], "big") % SIZE
        for step in range(SIZE):
            address = dotted((start + step) % SIZE)
            if address is not None and address not in taken:
                found[key] = address
                taken.add(address)
                break
    return found


def dotted(offset: int) -> str | None:
    """The address at an offset in the range; None for the ones that look like a network or a broadcast."""
    number = FIRST + offset
    if number & 0xFF in (0, 0xFF):
        return None
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))


def hosts_file(services: Iterable[Service], addresses: Mapping[Key, str]) -> str:
    """hosts(5): each Service's names and its address. A headless Service's name means its pods, as in Kubernetes."""
    lines = ["# written by the local mesh: names of Services and the loopback addresses that Envoy listens on"]
    for service in sorted(services, key=lambda each: each.key):
        names = f"{service.host} {service.name}.{service.namespace}.svc {service.name}.{service.namespace}"
        found = [each.address for each in service.endpoints] if service.headless else [addresses.get(service.key, "")]
        lines += [f"{address} {names}" for address in found if address]
    return "\n".join(lines) + "\n"
