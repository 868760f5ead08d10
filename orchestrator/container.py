"""What the container that we run in may use, as the kernel's control groups tell it."""

from pathlib import Path

_FILES = ("memory.max", "memory/memory.limit_in_bytes")  # of version 2, and of version 1
_NO_LIMIT = 1 << 60  # version 1 writes a number near 2^63 where there is none


def memory_limit(groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes of memory that the container may use; None where there is no limit, or none can be read."""
    for name in _FILES:
        try:
            written = (groups / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if written.isdigit() and 0 < int(written) < _NO_LIMIT:
            return int(written)
    return None
