"""Keeps the cache of one kind."""


class Informer:
    """List, then watch."""
