"""The judges: pure functions from counts of two arms to evidence and verdicts."""
