"""The command line: `seldon-rollouts`, and as a kubectl plugin `kubectl seldon-rollouts`."""

from seldon_rollouts.cli.app import main

__all__ = ["main"]
