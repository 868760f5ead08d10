"""The edge in: the doors that requests come through."""
