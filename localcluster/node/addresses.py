"""Pod addresses: each pod has its own in a 127.N.0.0/16 that no other local cluster on this machine uses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

FIRST, LAST = 1, 63
"""Second octets for pods; the mesh takes its Service addresses from 127.64.0.0/12."""
SIZE = 2**16


class NoAddressError(Exception):
    """No network or no address is free."""


@dataclass(slots=True)
class Network:
    """A claimed 127.N.0.0/16; the claim ends with `release()`, or with the process."""

    octet: int
    _claim: socket.socket

    def release(self) -> None:
        """Let others have it."""
        self._claim.close()


def claim(preferred: int | None = None) -> Network:
    """Claim the preferred network if it is free, else the first free one. Raises NoAddressError.

    The claim is a name in Linux' abstract socket namespace: exclusive on this machine, gone with its owner.
    """
    for octet in (*((preferred,) if preferred else ()), *range(FIRST, LAST + 1)):
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0seldon-rollouts-127.{octet}")
        except OSError:
            holder.close()
            continue
        return Network(octet, holder)
    raise NoAddressError(f"127.{FIRST}.0.0/16 to 127.{LAST}.0.0/16 are all claimed by other local clusters")


@dataclass(slots=True)
class AddressPool:
    """Hands out the addresses of one network in turn, so that a freed one rests as long as possible."""

    octet: int
    taken: dict[str, str] = field(default_factory=dict)
    """Address by pod uid."""
    _next: int = 1

    def take(self, uid: str, wanted: str = "") -> str:
        """The pod's address: the one it has, else the wanted one if it is free and ours, else the next free one."""
        if uid in self.taken:
            return self.taken[uid]
        used = set(self.taken.values())
        if wanted and wanted not in used and self._ours(wanted):
            self.taken[uid] = wanted
            return wanted
        for _ in range(SIZE):
            number, self._next = self._next, (self._next + 1) % SIZE
            address = f"127.{self.octet}.{number // 256}.{number % 256}"
            if number % 256 not in (0, 255) and address not in used:
                self.taken[uid] = address
                return address
        raise NoAddressError(f"127.{self.octet}.0.0/16 has no free address")

    def free(self, uid: str) -> None:
        """The pod is gone."""
        self.taken.pop(uid, None)

    def state(self) -> Mapping[str, object]:
        """What has to survive a restart."""
        return {"octet": self.octet, "next": self._next, "taken": dict(self.taken)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a saved state of the same network; a state of another one is of no use."""
        if state.get("octet") != self.octet:
            return
        number, taken = state.get("next"), state.get("taken")
        if isinstance(number, int) and isinstance(taken, dict):
            self._next, self.taken = number % SIZE, dict(taken)

    def _ours(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(f"127.{self.octet}.0.0/16")
        except ValueError:
            return False
