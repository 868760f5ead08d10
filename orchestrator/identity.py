"""Request ids."""

from collections.abc import Callable
from random import Random


def uuids(chance: Random) -> Callable[[], bytes]:
    """Gives UUIDs of version 4 as text, from a generator that is given; far cheaper than the standard library's."""
    bits = chance.getrandbits
    version = 0x4 << 76
    variant = 0x8 << 60
    free = ~((0xF << 76) | (0xC << 60))

    def fresh() -> bytes:
        text = f"{bits(128) & free | version | variant:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()

    return fresh
