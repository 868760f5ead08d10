"""The terminal, for what is drawn: tables, colours, live views. Loading it costs more than printing lines."""

import sys

from rich.console import Console

UNFOLDED = 10_000
"""Columns where nobody looks: what reads a pipe wants its lines whole."""
CONSOLE = Console(width=None if sys.stdout.isatty() else UNFOLDED)
