"""Metrics and logs of the orchestrator, off the critical path."""
