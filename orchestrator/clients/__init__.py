"""The edge out: calls to graph nodes."""
