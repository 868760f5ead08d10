"""What the C library does with memory that is freed."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT = 8 * 1024 * 1024
_APART = 1024 * 1024


def keep() -> None:
    """Keep some freed memory for what comes next: a long body is one piece of 256 KiB after the other.

    glibc, left alone, gives each back to the system and has the next one zeroed: 200 page faults for a MiB. What is
    longer than a MiB, such as a body that is kept whole, is given back at once as ever. Other libraries are let alone.
    """
    import ctypes

    try:
        set_to = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    set_to(_MMAP_THRESHOLD, _APART)
    set_to(_TRIM_THRESHOLD, _KEPT)
