"""Which key is reconciled next: one worker for each key at a time, delays, and back-off per key."""

Key = tuple[str, str]
"""Namespace and name."""
