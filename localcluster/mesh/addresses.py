"""Loopback addresses for Services, and the hosts file that names them."""

import hashlib
from collections.abc import Iterable, Mapping

from localcluster.mesh.objects import Key, Service

OCTETS = range(64, 80)
"""127.64.0.0/12: sixteen networks 127.N.0.0/16, one for each local cluster that runs. Pods have addresses elsewhere."""
SIZE = 1 << 16


def assign(services: Iterable[Key], recorded: Mapping[Key, str], *, octet: int = OCTETS.start) -> dict[Key, str]:
    """An address in 127.`octet`.0.0/16 for each Service: the recorded one, else by a hash of its name, else the next.

    The same Services get the same addresses whatever came before, unless two names collide.
    """
    wanted = sorted(set(services))
    own = f"127.{octet}."
    found = {key: recorded[key] for key in wanted if recorded.get(key, "").startswith(own)}
    taken = set(found.values())
    for key in wanted:
        if key in found:
            continue
        digest = hashlib.sha256("/".join(key).encode()).digest()
        start = int.from_bytes(digest[:4], "big") % SIZE
        for step in range(SIZE):
            address = dotted(octet, (start + step) % SIZE)
            if address is not None and address not in taken:
                found[key] = address
                taken.add(address)
                break
    return found


def dotted(octet: int, offset: int) -> str | None:
    """The address at an offset in 127.`octet`.0.0/16; None for those that look like a network or a broadcast."""
    third, last = divmod(offset, 256)
    return None if last in (0, 255) else f"127.{octet}.{third}.{last}"


def octet_of(recorded: Mapping[Key, str]) -> int:
    """The network that addresses were given from before; the first one if none were."""
    for address in recorded.values():
        octet = int(address.split(".")[1])
        if octet in OCTETS:
            return octet
    return OCTETS.start


def hosts_file(services: Iterable[Service], addresses: Mapping[Key, str]) -> str:
    """hosts(5): each Service's names and its address. A headless Service's name means its pods, as in Kubernetes."""
    lines = ["# written by the local mesh: names of Services and the loopback addresses that Envoy listens on"]
    for service in sorted(services, key=lambda each: each.key):
        names = f"{service.host} {service.name}.{service.namespace}.svc {service.name}.{service.namespace}"
        found = [each.address for each in service.endpoints] if service.headless else [addresses.get(service.key, "")]
        lines += [f"{address} {names}" for address in found if address]
    return "\n".join(lines) + "\n"
